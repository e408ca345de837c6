"""Listen to the progress of a real query."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidemill.streaming.listener import ProgressListener

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from tidemill.streaming.progress import Progress


class TestProgressListener:
    """The listener receives the progress of its own query only."""

    def test_beside_another_query(self, spark: SparkSession, tmp_path: Path) -> None:
        """The progress of another query of the session is ignored."""
        reports: list[Progress] = []
        listener = ProgressListener("ours", reports.append)
        rate = spark.readStream.format("rate").option("rowsPerSecond", 50).load()
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.txt").write_text("one\ntwo\n")
        lines = spark.readStream.text(str(tmp_path / "in"))
        spark.streams.addListener(listener)
        queries = [
            frame.writeStream.format("noop")
            .queryName(name)
            .option("checkpointLocation", str(tmp_path / name))
            .trigger(processingTime="100 milliseconds")
            .start()
            for name, frame in (("theirs", rate), ("ours", lines))
        ]
        try:
            deadline = time.monotonic() + 240
            while not reports or (queries[0].lastProgress or {"batchId": 0})["batchId"] < 2:
                assert time.monotonic() < deadline, "no progress was reported"
                time.sleep(0.1)
        finally:
            for query in queries:
                query.stop()
            spark.streams.removeListener(listener)
        assert [(report.batch, report.messages) for report in reports] == [(0, 2)]
