from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tidemill.kafka.lag import LagSnapshot, PartitionLag
from tidemill.terminal.lag_table import lag_table


def snapshot(
    time: float, *rows: tuple[int, int, int | None], age: float | None = None
) -> LagSnapshot:
    """Return a snapshot of a topic from the begin, end and committed offset of each partition."""
    return LagSnapshot(
        time, tuple(PartitionLag("ner-input", n, *row, age) for n, row in enumerate(rows))
    )


def printed(*args: Any, width: int = 100, **options: Any) -> str:  # noqa: ANN401 - lag_table's
    """Return the table's text."""
    console = Console(file=io.StringIO(), width=width)
    console.print(lag_table(*args, **options))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def said(then: tuple[int, int, int | None], now: tuple[int, int, int | None]) -> str:
    """Return the first line of the caption, with a second snapshot 10 s later."""
    text = printed("g", snapshot(10, now), snapshot(0, then))
    return text.rpartition("┘\n")[2].splitlines()[0].strip()


class TestWords:
    """The caption explains the numbers."""

    @pytest.mark.parametrize(
        ("then", "now", "expected"),
        [
            ((0, 100, 50), (0, 100, 100), "caught up"),
            ((0, 10_000, 0), (0, 10_000, 400), "catches up in 4 min"),
            ((0, 0, 0), (0, 1200, 800), "falls behind: 120/s arrive, 80/s are answered"),
            ((0, 10, 0), (0, 110, 100), "keeps its distance: 10/s arrive, 10/s are answered"),
            ((0, 10, 5), (0, 10, 5), "nothing was answered in the last 10 s"),
            ((0, 10, None), (0, 10, None), "the group g has not committed anything yet"),
            ((0, 10, None), (0, 2010, 10), "2,000 messages are waiting"),
        ],
    )
    def test_movement(
        self, then: tuple[int, int, int | None], now: tuple[int, int, int | None], expected: str
    ) -> None:
        """The caption tells the lag's trend."""
        assert said(then, now) == expected

    def test_one_look(self) -> None:
        """Without an earlier snapshot, there is no trend."""
        assert "5 messages are waiting" in printed("g", snapshot(0, (0, 10, 5)))

    def test_removed(self) -> None:
        """Messages that retention removed before they were answered are counted by topic."""
        text = printed("g", snapshot(0, (1500, 2000, 500), (300, 300, 100), (0, 5, 5)))
        assert "ner-input: Kafka removed 1,200 messages before they were answered" in text

    def test_beyond(self) -> None:
        """A topic that was created again is mentioned."""
        text = printed("g", snapshot(0, (0, 20, 500)))
        assert "ner-input: the group is past the end; was the topic created again?" in text

    def test_held_back(self) -> None:
        """The caption says what open transactions hold back, for how long, and what to do."""
        held = PartitionLag("ner-input", 0, 0, 7, 7, held_back=51, held_for=250.0)
        text = printed("g", LagSnapshot(10, (held, *snapshot(0, (0, 5, 5)).partitions)), width=150)
        (head,) = [line for line in text.splitlines() if "partition" in line]
        assert "held back" in head
        assert "caught up with what can be read yet" in text
        assert "open transactions hold back 51 messages, the first for 4 min" in text
        assert "once their producer commits or aborts" in text
        assert "held" not in printed("g", snapshot(0, (0, 1, 1)))

    def test_error(self) -> None:
        """If the broker is unreachable, the caption says why, and when the numbers were read."""
        text = printed("g", snapshot(0, (0, 1, 1)), error="no answer [from] Kafka")
        assert ":00: no answer [from] Kafka" in text


class TestTable:
    """The table has a row for each partition, and a total."""

    NOW = snapshot(
        10, (0, 1_234_567_890, 1_233_000_000), (0, 1_100_000_000, 1_099_999_999), age=4000.0
    )
    THEN = snapshot(0, (0, 1_234_567_890, 1_232_900_000), (0, 1_100_000_000, 1_099_999_999))

    def test_rows(self) -> None:
        """Numbers have thousands separators; times and rates have units."""
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

    def test_long_name(self) -> None:
        """No number and no name is truncated, whatever the topic's name."""
        long = LagSnapshot(
            10, (PartitionLag("t" * 200, 0, 0, 1_234_567_890, 1_233_000_000, 90_000),)
        )
        text = printed("g", long, width=160)
        for number in ("1,234,567,890", "1,233,000,000", "1,567,890", "1 d 1 h"):
            assert number in text
        assert text.count("t") >= 200

    @pytest.mark.parametrize(
        ("width", "topic", "end", "head"),
        [
            (80, "ner-input", 1506, "end committed lag waiting rate /s catches up in"),
            (80, "ner-input", 1_234_567_890, "committed lag waiting rate /s catches up in"),
            (80, "reviews-of-europe", 1_234_567_890, "lag waiting rate /s catches up in"),
            (80, "t" * 30, 1_234_567_890, "lag waiting catches up in"),
            (60, "t" * 30, 1_234_567_890, "lag waiting"),
        ],
    )
    def test_narrow(self, width: int, topic: str, end: int, head: str) -> None:
        """Names stay whole on one line; other columns are dropped, and no number is truncated."""
        then, now = (
            LagSnapshot(t, tuple(PartitionLag(topic, n, 0, end, end - left, 90.0) for n in (0, 11)))
            for t, left in ((0, end // 500), (10, end // 1000))
        )
        lines = printed("g", now, then, width=width).splitlines()
        assert max(map(len, lines)) <= width
        (above,) = [line for line in lines if "partition" in line]
        assert " ".join(above.replace("┃", " ").split()) == f"partition {head}"
        rows = [line for line in lines if f" {topic}/" in line]
        assert [f" {topic}/{n} " in row for n, row in zip((0, 11), rows, strict=True)] == [True] * 2
        assert all(f" {end // 1000:,} │" in row for row in rows)

    def test_very_narrow(self) -> None:
        """In a very narrow terminal, a name is wrapped, but stays readable."""
        now = LagSnapshot(0, (PartitionLag("reviews-of-all-products", 0, 0, 10**10, 0, 90.0),))
        assert "reviews-of-all-produ" in printed("g", now, width=40)

    def test_never_committed(self) -> None:
        """If nothing was committed, the caption says so, and every message counts as waiting."""
        (row,) = [
            line for line in printed("g", snapshot(0, (5, 15, None))).splitlines() if "/0" in line
        ]
        assert "never" in row
        assert " 10 " in row

    def test_many(self) -> None:
        """If not all rows fit, those with the largest lag stay, in their order."""
        now = snapshot(0, (0, 9, 8), (0, 9, 1), (0, 9, 9), (0, 9, 0))
        text = printed("g", now, max_rows=2)
        assert [n for n in range(4) if f"ner-input/{n}" in text] == [1, 3]
        assert "2 more partitions, with less lag" in text
        assert " 18 " in text  # the total is of all

    def test_group_with_brackets(self) -> None:
        """Brackets in a name are not interpreted as markup."""
        assert "lag of the group [red]g" in printed("[red]g", snapshot(0, (0, 1, 1)))
