"""The consumer group, when the job starts again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dev.kafka.topics import committed_offsets
from dev.pipeline.pipeline import message

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Lane
    from tidemill.inference.model import ModelSpec


class TestRestart:
    """What an earlier run could not commit is not forgotten."""

    def test_nothing_comes(
        self, lane: Lane, spark: SparkSession, model: Callable[..., ModelSpec]
    ) -> None:
        """A job that finds nothing to do commits what its checkpoint says is done."""
        lane.produce(*(message(number) for number in range(30)))
        lane.answer_all(spark, [model("Upper")])  # the query alone: nobody commits
        with lane.program(lane.environment("Upper")) as program:
            program.wait_for("stream started")
            deadline = time.monotonic() + 120
            while not committed_offsets(lane.broker.bootstrap_servers, lane.source, lane.source):
                assert time.monotonic() < deadline, "nothing was committed"
                time.sleep(0.2)
            assert lane.committed() == (30, 0)
        assert len(lane.results()) == 30
