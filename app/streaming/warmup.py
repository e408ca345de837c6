"""Load the models before the first message needs them, and keep them."""

from __future__ import annotations

import gc
import re
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING

from app.inference.predictor import probe
from app.monitoring.every import Every

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from pyspark.sql import SparkSession

    from app.inference.model import Load, ModelSpec

# Spark ends all workers, with their models, where none has run for a minute.
INTERVAL_S = 30.0


def load_models(spark: SparkSession, specs: Sequence[ModelSpec], load: Load) -> None:
    """Have each worker that runs now load every model, and try it on its sample.

    A worker keeps what it has loaded, so that the first messages do not wait for their models, and
    a model that does not load ends the job before it has read anything.

    Raises:
        PythonException: A model does not load, or does not answer its sample
            (`failure.translate` names it).

    """

    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for spec in specs:
            probe(spec, load(spec))
        yield from batches
        settle("warm-up")

    workers = spark.sparkContext.defaultParallelism
    spark.range(0, workers, 1, workers).mapInArrow(on_worker, "id long").collect()


@cache
def settle(after: str) -> None:  # noqa: ARG001 - the cache's key
    """Keep what this process has loaded by now out of the garbage collector's rounds.

    Once after the first task of each kind, as each imports what the others do not. A worker
    collects after each task, which takes 40 ms with all that pandas and pyarrow consist of, and the
    next task waits for it.
    """
    gc.collect()
    gc.freeze()


def keep_warm(spark: SparkSession, interval: float = INTERVAL_S) -> AbstractContextManager[object]:
    """Return a thread, to be entered, that keeps idle workers, with their models, from being ended.

    A task with one row on any of them is enough. On a cluster it does nothing: a task would reach
    one executor of many, and an idle one may be there to be given back.
    """
    if not re.fullmatch(r"local(\[.*])?", spark.sparkContext.master or ""):
        return nullcontext()
    frame = spark.range(1).coalesce(1).mapInArrow(lambda batches: batches, "id long")
    return Every(interval, frame.collect, what="keep the workers warm")
