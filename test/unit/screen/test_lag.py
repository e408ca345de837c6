from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from app.monitoring.snapshot import PartitionLag, Snapshot
from app.screen.lag import lag_document, lag_table


def snapshot(time: float, *rows: tuple[int, int, int | None], age: float | None = None) -> Snapshot:
    """Return a snapshot of a topic: begin, end, committed for each partition."""
    return Snapshot(
        time, tuple(PartitionLag("ner-input", n, *row, age) for n, row in enumerate(rows))
    )


def printed(*args: Any, width: int = 100, **options: Any) -> str:  # noqa: ANN401 - lag_table's
    """Return what a person sees."""
    console = Console(file=io.StringIO(), width=width)
    console.print(lag_table(*args, **options))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def said(then: tuple[int, int, int | None], now: tuple[int, int, int | None]) -> str:
    """Return the first line of the caption, 10 s later."""
    text = printed("g", snapshot(10, now), snapshot(0, then))
    return text.rpartition("┘\n")[2].splitlines()[0].strip()


class TestWords:
    """The caption says what the numbers mean."""

    @pytest.mark.parametrize(
        ("then", "now", "expected"),
        [
            ((0, 100, 50), (0, 100, 100), "at the end"),
            ((0, 10_000, 0), (0, 10_000, 400), "catches up in 4 min"),
            ((0, 0, 0), (0, 1200, 800), "falls behind: 120/s come, 80/s are answered"),
            ((0, 10, 0), (0, 110, 100), "neither gains nor loses: 10/s come, 10/s are answered"),
            ((0, 10, 5), (0, 10, 5), "nothing was answered in the last 10 s"),
            ((0, 10, None), (0, 10, None), "nothing was committed by group g yet"),
            ((0, 10, None), (0, 2010, 10), "2,000 messages wait"),
        ],
    )
    def test_movement(
        self, then: tuple[int, int, int | None], now: tuple[int, int, int | None], expected: str
    ) -> None:
        """Where the lag goes."""
        assert said(then, now) == expected

    def test_one_look(self) -> None:
        """Without an earlier look nothing is said of where it goes."""
        assert "5 messages wait" in printed("g", snapshot(0, (0, 10, 5)))

    def test_removed(self) -> None:
        """What retention took before it was answered, by topic."""
        text = printed("g", snapshot(0, (1500, 2000, 500), (300, 300, 100), (0, 5, 5)))
        assert "ner-input: 1,200 messages were removed before they were answered" in text

    def test_beyond(self) -> None:
        """A topic that was made anew."""
        text = printed("g", snapshot(0, (0, 20, 500)))
        assert "ner-input: the group is beyond the end: was the topic made anew?" in text

    def test_no_topic(self) -> None:
        """No topic, no lag."""
        assert "there is no input topic, or no right to see it" in printed("g", Snapshot(0, ()))

    def test_trouble(self) -> None:
        """Of when the numbers are where the broker is away, and why."""
        text = printed("g", snapshot(0, (0, 1, 1)), trouble="no answer [from] Kafka")
        assert ":00: no answer [from] Kafka" in text


class TestTable:
    """A row for each partition, and a total."""

    NOW = snapshot(
        10, (0, 1_234_567_890, 1_233_000_000), (0, 1_100_000_000, 1_099_999_999), age=4000.0
    )
    THEN = snapshot(0, (0, 1_234_567_890, 1_232_900_000), (0, 1_100_000_000, 1_099_999_999))

    def test_rows(self) -> None:
        """With thousands separators, times and rates."""
        lines = printed("g", self.NOW, self.THEN).splitlines()
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
        assert cells == [
            [
                *("ner-input/0", "1,234,567,890", "1,233,000,000", "1,567,890"),
                *("1 h 6 min", "10,000", "2 min"),
            ],
            ["ner-input/1", "1,100,000,000", "1,099,999,999", "1", "1 h 6 min", "0", "-"],
            ["total", "", "", "1,567,891", "1 h 6 min", "10,000", "2 min"],
        ]

    def test_width(self) -> None:
        """No number is cut at 100 columns, whatever the topic is called."""
        long = Snapshot(10, (PartitionLag("t" * 200, 0, 0, 1_234_567_890, 1_233_000_000, 90_000),))
        text = printed("g", long)
        for number in ("1,234,567,890", "1,233,000,000", "1,567,890", "1 d 1 h"):
            assert number in text
        assert text.count("t") >= 200

    def test_never_committed(self) -> None:
        """That is said, and all there is waits."""
        (row,) = [
            line for line in printed("g", snapshot(0, (5, 15, None))).splitlines() if "/0" in line
        ]
        assert "never" in row
        assert " 10 " in row

    def test_many(self) -> None:
        """Where not all fit, those with the largest lag stay, in their order."""
        now = snapshot(0, (0, 9, 8), (0, 9, 1), (0, 9, 9), (0, 9, 0))
        text = printed("g", now, most=2)
        assert [n for n in range(4) if f"ner-input/{n}" in text] == [1, 3]
        assert "2 more partitions, with less lag" in text
        assert " 18 " in text  # the total is of all

    def test_group_with_brackets(self) -> None:
        """A name is no markup."""
        assert "lag of the group [red]g" in printed("[red]g", snapshot(0, (0, 1, 1)))


class TestDocument:
    """The same for programs."""

    def test_whole(self) -> None:
        """By stable names, null where something is not known."""
        then = snapshot(0, (0, 100, 20), (0, 10, None))
        now = snapshot(10, (0, 110, 80), (0, 10, None), age=7.5)
        assert json.loads(json.dumps(lag_document("g", now, then, trouble="away"))) == {
            "group": "g",
            "time": "1970-01-01T00:00:10.000+00:00",
            "partitions": [
                {
                    "topic": "ner-input",
                    "partition": 0,
                    "begin": 0,
                    "end": 110,
                    "committed": 80,
                    "passed_over": 0,
                    "lag": 30,
                    "age_seconds": 7.5,
                    "rate": 6.0,
                    "arriving": 1.0,
                    "catch_up_seconds": 6.0,
                },
                {
                    "topic": "ner-input",
                    "partition": 1,
                    "begin": 0,
                    "end": 10,
                    "committed": None,
                    "passed_over": 0,
                    "lag": 10,
                    "age_seconds": 7.5,
                    "rate": None,
                    "arriving": 0.0,
                    "catch_up_seconds": None,
                },
            ],
            "total": {
                "lag": 40,
                "age_seconds": 7.5,
                "rate": 6.0,
                "arriving": 1.0,
                "catch_up_seconds": 8.0,
            },
            "trouble": "away",
        }
