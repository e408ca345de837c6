from __future__ import annotations

import json

from tidemill.kafka.lag import LagSnapshot, PartitionLag
from tidemill.terminal.lag_json import lag_document


def snapshot(
    time: float, *rows: tuple[int, int, int | None], age: float | None = None
) -> LagSnapshot:
    """Return a snapshot of a topic from the begin, end and committed offset of each partition."""
    return LagSnapshot(
        time, tuple(PartitionLag("ner-input", n, *row, age) for n, row in enumerate(rows))
    )


class TestDocument:
    """Programs can read the lag as JSON."""

    def test_whole(self) -> None:
        """The keys are stable; unknown values are null."""
        then = snapshot(0, (0, 100, 20), (0, 10, None))
        now = snapshot(10, (0, 110, 80), (0, 10, None), age=7.5)
        assert json.loads(json.dumps(lag_document("g", now, then, error="away"))) == {
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
                    "held_back": 0,
                    "held_back_seconds": None,
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
                    "held_back": 0,
                    "held_back_seconds": None,
                    "rate": None,
                    "arriving": 0.0,
                    "catch_up_seconds": None,
                },
            ],
            "total": {
                "lag": 40,
                "age_seconds": 7.5,
                "held_back": 0,
                "held_back_seconds": None,
                "rate": 6.0,
                "arriving": 1.0,
                "catch_up_seconds": 8.0,
            },
            "trouble": "away",
        }

    def test_held_back(self) -> None:
        """Held-back messages are counted and timed; the total has their sum and longest time."""
        held = PartitionLag("t", 0, 0, 5, 5, held_back=51, held_for=4.0)
        more = PartitionLag("t", 1, 0, 5, 5, held_back=1, held_for=None)
        document = lag_document("g", LagSnapshot(0, (held, more)))
        found = [*document["partitions"], document["total"]]
        assert [(at["held_back"], at["held_back_seconds"]) for at in found] == [
            (51, 4.0),
            (1, None),
            (52, 4.0),
        ]
