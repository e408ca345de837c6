"""JSON lines or Parquet in, results and dead letters out, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from pyspark.errors import AnalysisException
from pyspark.sql import Observation
from pyspark.sql.functions import (
    base64,
    col,
    concat,
    count,
    count_if,
    element_at,
    is_valid_utf8,
    length,
    lit,
    map_from_entries,
    struct,
    to_json,
    transform,
    when,
)
from pyspark.sql.functions import filter as only

from tidemill.batch.progress import watch_tasks
from tidemill.batch.reading import FILE, LINE, ROW, read
from tidemill.batch.source import find_source, local, some
from tidemill.errors import OutputExists
from tidemill.spark.udfs import predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import Column, DataFrame, SparkSession

    from tidemill.inference.model import ModelSpec

log = structlog.get_logger(__name__)

RESULTS, DEAD_LETTERS = "results", "dead-letters"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages went in, and what they came to."""

    messages: int
    results: int
    dead_letters: int


def run(
    spark: SparkSession,
    specs: Sequence[ModelSpec],
    source: str,
    target: str,
    *,
    show: Callable[..., None] = lambda *_, **__: None,
) -> Counts:
    """Answer every message of `source`; write `target/outcome=results` and `…=dead-letters`.

    Parquet if the files of `source` are called so, else JSON lines. A Parquet file with a binary
    column `value` holds records as Kafka has them; of any other, each row is a message, its columns
    the fields. Folders are read with all that is below them, except for hidden files.

    `show` shows each step as it begins, and how many of Spark's tasks are done.

    Raises:
        InputUnreadable: There is nothing at `source`, or what cannot be read.
        OutputExists: There is something at `target`.

    """
    found = find_source(source)
    if found.hidden:
        log.warning(
            "skipped hidden files and folders, whose names begin with _ or .",
            count=len(found.hidden),
            skipped=some(found.hidden),
        )
    answer = predictions(specs, results=RESULTS, dead_letters=DEAD_LETTERS)
    counts = Observation()
    step = partial(watch_tasks, spark.sparkContext, show)
    with found.readable() as path:
        with step("reading the input"):
            records, parquet = read(spark, found, path)
        outcomes = (
            records.transform(answer)
            .withColumnRenamed("topic", "outcome")
            .observe(
                counts,
                count(lit(1)).alias("messages"),
                count_if(col("outcome") == RESULTS).alias("results"),
                count_if(col("outcome") == DEAD_LETTERS).alias("dead_letters"),
            )
        )
        written = as_rows(outcomes) if parquet else as_lines(outcomes)
        with step("answering"):
            _write(spark, written, target, "parquet" if parquet else "text")
    return Counts(**counts.get)


def as_rows(outcomes: DataFrame) -> DataFrame:
    """Return the outcomes as records, with the file and row that each comes from."""
    return outcomes.select("outcome", "key", "value", "headers", _source("row", ROW))


def as_lines(outcomes: DataFrame) -> DataFrame:
    """Return a line for each outcome: a result as it is, a dead letter as JSON with its headers.

    A result's last field says which file and line it comes from, as the headers of a dead letter.
    """
    text = col("value").cast("string")
    dead_letter = struct(
        when(is_valid_utf8(text), text).alias("value"),
        when(~is_valid_utf8(text), base64("value")).alias("value_base64"),
        map_from_entries(
            transform("headers", lambda h: struct(h["key"].alias("key"), h["value"].cast("string")))
        ).alias("headers"),
    )
    source = to_json(struct(_source("line", LINE).alias("tidemill.source")))
    # Both are JSON objects with at least one field.
    result = concat(
        text.substr(lit(1), length(text) - 1), lit(","), source.substr(lit(2), length(source))
    )
    return outcomes.select(
        when(col("outcome") == RESULTS, result).otherwise(to_json(dead_letter)).alias("line"),
        "outcome",
    )


def _source(unit: str, header: str) -> Column:
    """Return the file, and the line or row, that an outcome's headers name."""

    def last(name: str) -> Column:
        named = only(col("headers"), lambda h: h["key"] == name)
        return element_at(named, -1)["value"].cast("string")

    return struct(last(FILE).alias("file"), last(header).cast("long").alias(unit)).alias("source")


def _write(spark: SparkSession, lines: DataFrame, target: str, kind: str) -> None:
    path = local(target)
    place = f"file:{path}" if path else target
    try:
        lines.write.partitionBy("outcome").format(kind).save(place)
    except AnalysisException as error:
        if "PATH_ALREADY_EXISTS" in str(error):
            raise OutputExists(target) from None
        raise
    except BaseException:
        _remove(spark, place)  # what is there is not whole, and would bar the next try
        raise


def _remove(spark: SparkSession, path: str) -> None:
    """Remove a folder on whatever file system it is."""
    java: Any = spark.sparkContext._jvm  # noqa: SLF001 - the one way to Hadoop's file systems
    folder = java.org.apache.hadoop.fs.Path(path)
    configuration = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
    folder.getFileSystem(configuration).delete(folder, True)  # noqa: FBT003 - Java's signature
