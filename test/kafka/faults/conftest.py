"""Fixtures of the fault scenarios: both delivery modes, and a job in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from faults import scenario
from tidemill.errors import TidemillError
from tidemill.spark.failures import translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline


@pytest.fixture(scope="module", params=["exactly-once", "at-least-once"])
def delivery(request: pytest.FixtureRequest) -> str:
    """The delivery mode under test."""
    return str(request.param)


@pytest.fixture(scope="module")
def start(spark: SparkSession, delivery: str) -> Callable[..., TidemillError | None]:
    """Process all messages in this process; return the job's error: `start(pipeline)`."""

    def run(pipeline: Pipeline, **settings: Any) -> TidemillError | None:  # noqa: ANN401
        try:
            pipeline.answer_all(
                spark, scenario.models(pipeline), **{"delivery": delivery, **settings}
            )
        except TidemillError as error:
            return error
        except (PySparkException, Py4JError) as error:
            return translate(error, str(pipeline.folder / "checkpoint"))
        return None

    return run
