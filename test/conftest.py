"""Fixtures for all tests: one Spark session, and specs of the tests' models."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from specs import example_spec

from dev import PYTHONPATH

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pyspark.sql import SparkSession

    from tidemill.inference.model import ModelSpec

# No deadline: a slow machine is not a failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

DOUBLES = Path(__file__).parent / "doubles"
# For Spark's workers and child processes, which import the tests' models and this tree's package.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(DOUBLES), PYTHONPATH, *filter(None, [os.environ.get("PYTHONPATH")])]
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Load all tests without the garbage collector, and spare it what they have loaded.

    All of that stays, and looking at it again and again would take a fifth of the CPU time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of all tests, created as the job creates its own."""
    # Importing Spark would slow down unit tests.
    from dev.pipeline.pipeline import quick_spark  # noqa: PLC0415
    from tidemill.settings import Settings  # noqa: PLC0415
    from tidemill.spark import session  # noqa: PLC0415

    settings = Settings(spark=quick_spark() | {"spark.sql.shuffle.partitions": "2"})
    running = session.create(settings)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def model() -> Callable[..., ModelSpec]:
    """Return what describes a model of the tests: `model("Upper", match={"lang": "en"})`."""
    return example_spec
