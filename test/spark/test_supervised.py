"""An input that kills its worker costs a retry, and no other input its result."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.spark.retry import IDLE_TIMEOUT
from tidemill.spark.udfs import predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

    from tidemill.inference.model import ModelSpec


@contextmanager
def idle_timeout(spark: SparkSession, seconds: int) -> Iterator[None]:
    """Set the idle timeout after which Spark kills a worker."""
    before: Any = spark.conf.get(IDLE_TIMEOUT)
    spark.conf.set(IDLE_TIMEOUT, seconds)
    try:
        yield
    finally:
        spark.conf.set(IDLE_TIMEOUT, before)


def answers(spark: SparkSession, spec: ModelSpec, texts: list[str]) -> list[str | None]:
    """Process texts in one task; return the answer or the error class of each."""
    rows = [(json.dumps({"text": t, "lang": "en", "uuid": "1"}).encode(),) for t in texts]
    outcomes = (
        spark.createDataFrame(rows, "value binary")
        .coalesce(1)
        .transform(predictions([spec], results="", dead_letters=""))
    )
    return [row.error or json.loads(row.value)["answer"] for row in outcomes.collect()]


class TestSecondAttempt:
    """On a retry, a model cannot kill its worker."""

    @pytest.mark.parametrize("word", ["exit", "segfault"])
    def test_crash(self, spark: SparkSession, model: Callable[..., ModelSpec], word: str) -> None:
        """An input that ends the process gets an error; the others keep their order and answers."""
        texts = ["a", word, *"bcdefghijklmnopqrst", "raise", word, "u"]
        expected = [
            {"raise": "PredictionFailed", word: "ModelCrashed"}.get(t, t.upper()) for t in texts
        ]
        assert answers(spark, model("Poison"), texts) == expected

    def test_hang(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A hanging input is ended first by Spark, with its worker, then by the worker alone."""
        with idle_timeout(spark, 20):
            assert answers(spark, model("Poison"), ["a", "hang", "b"]) == [
                "A",
                "ModelTimedOut",
                "B",
            ]

    def test_slow(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A retry may work for longer than the idle timeout before it yields rows."""
        texts = ["exit", *map(str, range(600))]
        spec = model("Poison", options={"seconds": 0.03})
        with idle_timeout(spark, 15):
            assert answers(spark, spec, texts) == ["ModelCrashed", *texts[1:]]

    def test_nothing_left(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """The child process ends with the attempt."""
        log = tmp_path / "processes"
        spec = model("NotedPoison", options={"log": str(log)})
        assert answers(spark, spec, ["exit", "a"]) == ["ModelCrashed", "A"]
        *_, last = log.read_text().split()
        assert not Path(f"/proc/{last}").exists()
