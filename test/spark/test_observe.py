"""What Spark counts of a micro-batch is what went through it."""

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
    """Return what the progress of one micro-batch of outcomes says."""

    def run(rows: Rows) -> Progress:
        folder = tmp_path / "outcomes"
        folder.mkdir()
        for part in range(3):  # three tasks, whose counts are put together
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
    """Counted by Spark, read from its report."""

    def test_kinds(self, report: Callable[[Rows], Progress]) -> None:
        """Thousands of models and errors are counted exactly, the absent ones too."""
        rows: Rows = [
            {"model": f"model-{number % 1500}:1", "error": "NoModel" if number % 7 == 0 else None}
            for number in range(6000)
        ]
        rows += [{"error": "InvalidJson"}, {"model": 'quoted":1'}]
        said = report(rows)
        assert said.outcomes == Counter((row.get("model"), row.get("error")) for row in rows)
        assert said.messages == said.results + said.dead_letters == len(rows)

    def test_latencies(self, report: Callable[[Rows], Progress]) -> None:
        """Latencies are counted by bucket; quantiles are close; no timestamp, no latency."""
        seconds = [number / 100 for number in range(1, 1001)]
        said = report([*({"latency": s} for s in seconds), {"model": "m:1"}]).latencies
        assert said.count == 1000
        assert said.sum == pytest.approx(sum(seconds))
        assert said.buckets == tuple(sum(s <= b for s in seconds) for b in LATENCY_BUCKETS)
        assert said.quantiles == pytest.approx((5.0, 9.5, 9.9), abs=0.05)

    def test_no_latencies(self, report: Callable[[Rows], Progress]) -> None:
        """Where no message has a timestamp there is no latency."""
        said = report([{"model": "m:1"}]).latencies
        assert (said.count, said.sum, said.buckets, said.quantiles) == (0, 0, NO_COUNTS, ())
