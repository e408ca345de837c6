"""The consumer group, when the job starts again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dev.kafka.topics import committed_offsets
from dev.pipeline.pipeline import message

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec


class TestRestart:
    """What an earlier run could not commit is not forgotten."""

    def test_nothing_comes(
        self, pipeline: Pipeline, spark: SparkSession, model: Callable[..., ModelSpec]
    ) -> None:
        """A job that finds nothing to do commits what its checkpoint says is done."""
        pipeline.produce(*(message(number) for number in range(30)))
        pipeline.answer_all(spark, [model("Upper")])  # the query alone: nobody commits
        with pipeline.program(pipeline.environment("Upper")) as program:
            program.wait_for("stream started")
            deadline = time.monotonic() + 240
            while not committed_offsets(
                pipeline.broker.bootstrap_servers, pipeline.source, pipeline.source
            ):
                assert time.monotonic() < deadline, "nothing was committed"
                time.sleep(0.2)
            assert pipeline.committed() == (30, 0)
        assert len(pipeline.results()) == 30
