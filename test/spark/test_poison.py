"""An input that ends or hangs a model process costs no task, and no other input its result."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pyspark import TaskContext

from tidemill.inference.model import Limits
from tidemill.inference.route import single_routes
from tidemill.settings import PoolSettings
from tidemill.spark.batch_delivery import LEAVE_TO_SPARK
from tidemill.spark.retry import IDLE_TIMEOUT
from tidemill.spark.udfs import predictions
from tidemill.spark.warmup import load_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyspark.sql import SparkSession

    from tidemill.inference.model import ModelSpec
    from tidemill.spark.batch_delivery import BatchDelivery, Deliver


ONE_PROCESS = PoolSettings(processes=1)


@contextmanager
def idle_timeout(spark: SparkSession, seconds: int) -> Iterator[None]:
    """Set the idle timeout after which Spark kills a worker."""
    before: Any = spark.conf.get(IDLE_TIMEOUT)
    spark.conf.set(IDLE_TIMEOUT, seconds)
    try:
        yield
    finally:
        spark.conf.set(IDLE_TIMEOUT, before)


def answers(
    spark: SparkSession,
    spec: ModelSpec,
    texts: Sequence[str],
    delivery: BatchDelivery,
) -> list[str | None]:
    """Process texts in one task; return the answer or the error class of each."""
    rows = [(json.dumps({"text": t, "lang": "en", "uuid": "1"}).encode(),) for t in texts]
    outcomes = (
        spark.createDataFrame(rows, "value binary")
        .coalesce(1)
        .transform(
            predictions(
                single_routes([spec]),
                results="",
                dead_letters="",
                pool=ONE_PROCESS,
                delivery=delivery,
            )
        )
    )
    return [row.error or json.loads(row.value)["answer"] for row in outcomes.collect()]


def delivery(*, first_attempt_hangs: bool) -> BatchDelivery:
    """Return a delivery that hangs in a task's first attempt, or fails in any other attempt."""

    def begin(batch: pa.RecordBatch) -> Iterable[tuple[pa.RecordBatch, Deliver]]:
        context = TaskContext.get()
        assert context is not None
        is_retry = context.attemptNumber() > 0
        if first_attempt_hangs and not is_retry:
            time.sleep(3600)
        assert first_attempt_hangs or not is_retry, "the task was retried"
        return LEAVE_TO_SPARK.begin(batch)

    return replace(LEAVE_TO_SPARK, begin=begin)


NEVER_RETRIED = delivery(first_attempt_hangs=False)
HANGS_ONCE = delivery(first_attempt_hangs=True)


class TestPoison:
    """A model cannot end or hang the worker that needs it."""

    @pytest.mark.parametrize("word", ["exit", "segfault"])
    def test_crash(self, spark: SparkSession, model: Callable[..., ModelSpec], word: str) -> None:
        """An input that ends the process gets an error; the others keep their order and answers."""
        texts = ["a", word, *"bcdefghijklmnopqrst", "raise", word, "u"]
        expected = [
            {"raise": "PredictionFailed", word: "ModelCrashed"}.get(t, t.upper()) for t in texts
        ]
        assert answers(spark, model("Poison"), texts, NEVER_RETRIED) == expected

    def test_hang(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """An input may take as long as its entry allows, however long Spark would wait."""
        spec = model("Poison", limits=Limits(seconds=5))
        expected = ["A", "ModelTimedOut", "B"]
        assert answers(spark, spec, ["a", "hang", "b"], NEVER_RETRIED) == expected


class TestIdleTimeout:
    """Spark kills a worker that hangs outside the model, but none that waits for the model."""

    TEXTS = tuple(map(str, range(80)))  # one Arrow batch, which takes 20 s

    @pytest.fixture
    def slow(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> ModelSpec:
        """A model that is loaded, so that its time to load does not count."""
        spec = model("Poison", options={"seconds": 0.25})
        load_models(spark, [spec], ONE_PROCESS)
        return spec

    def test_slow_model(self, spark: SparkSession, slow: ModelSpec) -> None:
        """A batch may take longer than the idle timeout, as each call is within its limit."""
        with idle_timeout(spark, 15):
            assert answers(spark, slow, self.TEXTS, NEVER_RETRIED) == list(self.TEXTS)

    def test_hung_worker(self, spark: SparkSession, slow: ModelSpec) -> None:
        """A task whose worker hangs is retried; the retry may take longer, too."""
        with idle_timeout(spark, 15):
            assert answers(spark, slow, self.TEXTS, HANGS_ONCE) == list(self.TEXTS)
