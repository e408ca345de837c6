"""Load the models before the first message needs them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.inference.predictor import probe
from app.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyspark.sql import SparkSession

    from app.inference.model import ModelSpec


def load_models(spark: SparkSession, specs: Sequence[ModelSpec]) -> None:
    """Have each worker that runs now load every model, and try it on its sample.

    A worker keeps what it has loaded, so that the first messages do not wait for their models, and
    a model that does not load ends the job before it has read anything.

    Raises:
        PythonException: A model does not load, or does not answer its sample
            (`failure.translate` names it).

    """

    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches
        for spec in specs:
            probe(spec, catalogue.load(spec), time.time)

    workers = spark.sparkContext.defaultParallelism
    spark.range(0, workers, 1, workers).mapInArrow(on_worker, "id long").collect()
