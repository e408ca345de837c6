"""Compare the counts in a query's progress with the rows of its micro-batch."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.streaming import progress
from tidemill.streaming.observe import observed
from tidemill.streaming.progress import LATENCY_BUCKETS, NO_COUNTS, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

Rows = list[dict[str, Any]]


@pytest.fixture
def report(spark: SparkSession, tmp_path: Path) -> Callable[[Rows], Progress]:
    """Return a function that runs one micro-batch of outcomes and returns its progress."""

    def run(rows: Rows) -> Progress:
        folder = tmp_path / "outcomes"
        folder.mkdir()
        for part in range(3):  # three tasks, whose counts are merged
            lines = "\n".join(json.dumps(row) for row in rows[part::3])
            (folder / f"{part}.json").write_text(lines)
        frame = spark.readStream.schema("model string, error string, latency double").json(
            str(folder)
        )
        query = (
            observed(frame.repartition(3))
            .writeStream.format("noop")
            .option("checkpointLocation", str(tmp_path / "checkpoint"))
            .trigger(availableNow=True)
            .start()
        )
        assert query.awaitTermination(240)
        last = query.lastProgress
        assert last is not None
        return progress.read(last.json)

    return run


class TestObserved:
    """Spark counts the outcomes, and its progress reports the counts."""

    def test_kinds(self, report: Callable[[Rows], Progress]) -> None:
        """Thousands of models and errors are counted exactly, null ones too."""
        rows: Rows = [
            {"model": f"model-{number % 1500}:1", "error": "NoModel" if number % 7 == 0 else None}
            for number in range(6000)
        ]
        rows += [{"error": "InvalidJson"}, {"model": 'quoted":1'}]
        counted = report(rows)
        assert counted.outcomes == Counter((row.get("model"), row.get("error")) for row in rows)
        assert counted.messages == counted.results + counted.dead_letters == len(rows)

    def test_latencies(self, report: Callable[[Rows], Progress]) -> None:
        """Latencies are counted by bucket, and quantiles are close; a null latency is ignored."""
        seconds = [number / 100 for number in range(1, 1001)]
        latencies = report([*({"latency": s} for s in seconds), {"model": "m:1"}]).latencies
        assert latencies.count == 1000
        assert latencies.sum == pytest.approx(sum(seconds))
        assert latencies.buckets == tuple(sum(s <= b for s in seconds) for b in LATENCY_BUCKETS)
        assert latencies.quantiles == pytest.approx((5.0, 9.5, 9.9), abs=0.05)

    def test_no_latencies(self, report: Callable[[Rows], Progress]) -> None:
        """If no message has a timestamp, there are no latencies."""
        none = report([{"model": "m:1"}]).latencies
        assert (none.count, none.sum, none.buckets, none.quantiles) == (0, 0, NO_COUNTS, ())
