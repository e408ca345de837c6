"""Run the models on files: JSON lines or Parquet in, results and dead letters out, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from pyspark.sql import Observation
from pyspark.sql.functions import col, count, count_if, lit

from tidemill.batch import formats, output
from tidemill.batch.output import DEAD_LETTERS, RESULTS
from tidemill.batch.progress import watch_tasks
from tidemill.batch.source import abbreviate, find_source
from tidemill.settings import PoolSettings
from tidemill.spark.udfs import predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import SparkSession

    from tidemill.inference.route import Route

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of messages, and of their outcomes."""

    messages: int
    results: int
    dead_letters: int


def run(
    spark: SparkSession,
    routes: Sequence[Route],
    source: str,
    target: str,
    *,
    pool: PoolSettings = PoolSettings(),  # noqa: B008 - it is frozen
    show: Callable[..., None] = lambda *_, **__: None,
) -> Counts:
    """Answer every message of `source`; write `target/outcome=results` and `…=dead-letters`.

    Files whose names end with `.parquet` are Parquet, all others JSON lines. If a Parquet file has
    a binary column `value`, its rows are records, as in Kafka; otherwise each row is a message,
    with its columns as fields. A folder is read with all its subfolders, without hidden files.

    `show` is called as each step begins, and with the number of Spark's tasks that are done.

    Raises:
        InputUnreadable: `source` does not exist or cannot be read.
        OutputExists: `target` exists.

    """
    inputs = find_source(source)
    if inputs.hidden:
        log.warning(
            "skipped hidden files and folders, whose names begin with _ or .",
            count=len(inputs.hidden),
            skipped=abbreviate(inputs.hidden),
        )
    transform = predictions(routes, results=RESULTS, dead_letters=DEAD_LETTERS, pool=pool)
    counts = Observation()
    step = partial(watch_tasks, spark.sparkContext, show)
    with inputs.readable() as path:
        with step("reading the input"):
            records, file_format = formats.read(spark, inputs, path)
        outcomes = (
            records.transform(transform)
            .withColumnRenamed("topic", "outcome")
            .observe(
                counts,
                count(lit(1)).alias("messages"),
                count_if(col("outcome") == RESULTS).alias("results"),
                count_if(col("outcome") == DEAD_LETTERS).alias("dead_letters"),
            )
        )
        with step("answering"):
            encoded = file_format.encode(outcomes)
            output.write(spark, encoded, target, file_format.data_source)
    return Counts(**counts.get)
