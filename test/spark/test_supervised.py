"""What ends a worker costs its task an attempt, and nobody else an answer."""

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
    """Have Spark end a worker that gives nothing back for so long."""
    before: Any = spark.conf.get(IDLE_TIMEOUT)
    spark.conf.set(IDLE_TIMEOUT, seconds)
    try:
        yield
    finally:
        spark.conf.set(IDLE_TIMEOUT, before)


def answers(spark: SparkSession, spec: ModelSpec, texts: list[str]) -> list[str | None]:
    """Return what each text comes to, in one task: the answer, or the error's class."""
    rows = [(json.dumps({"text": t, "lang": "en", "uuid": "1"}).encode(),) for t in texts]
    outcomes = (
        spark.createDataFrame(rows, "value binary")
        .coalesce(1)
        .transform(predictions([spec], results="", dead_letters=""))
    )
    return [row.error or json.loads(row.value)["answer"] for row in outcomes.collect()]


class TestSecondAttempt:
    """From a task's second attempt on, a model cannot end its worker."""

    @pytest.mark.parametrize("word", ["exit", "segfault"])
    def test_crash(self, spark: SparkSession, model: Callable[..., ModelSpec], word: str) -> None:
        """Who ends the process has its error, the others have their answers, in their order."""
        texts = ["a", word, *"bcdefghijklmnopqrst", "raise", word, "u"]
        expected = [
            {"raise": "PredictionFailed", word: "ModelCrashed"}.get(t, t.upper()) for t in texts
        ]
        assert answers(spark, model("Poison"), texts) == expected

    def test_hang(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """Who hangs is ended first by Spark, with its worker, then by the worker."""
        with idle_timeout(spark, 20):
            assert answers(spark, model("Poison"), ["a", "hang", "b"]) == [
                "A",
                "ModelTimedOut",
                "B",
            ]

    def test_slow(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """An attempt that works for longer than the idle time-out, giving no rows, goes on."""
        texts = ["exit", *map(str, range(600))]
        spec = model("Poison", options={"seconds": 0.03})
        with idle_timeout(spark, 15):
            assert answers(spark, spec, texts) == ["ModelCrashed", *texts[1:]]

    def test_nothing_left(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """The process ends with the attempt."""
        log = tmp_path / "processes"
        spec = model("NotedPoison", options={"log": str(log)})
        assert answers(spark, spec, ["exit", "a"]) == ["ModelCrashed", "A"]
        *_, last = log.read_text().split()
        assert not Path(f"/proc/{last}").exists()
