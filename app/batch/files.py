"""JSON lines or Parquet in, results and dead letters out, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Observation
from pyspark.sql.functions import (
    base64,
    col,
    count,
    count_if,
    is_valid_utf8,
    length,
    lit,
    map_from_entries,
    struct,
    to_json,
    transform,
    trim,
    when,
)

from app.errors import InputUnreadable, OutputExists
from app.streaming.udfs import predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame, DataFrameReader, SparkSession

    from app.inference.model import ModelSpec

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
) -> Counts:
    """Answer every message of `source`; write `target/outcome=results` and `…=dead-letters`.

    Parquet where `source` holds Parquet, else JSON lines. A Parquet file with a binary column
    `value` holds records as Kafka has them; of any other, each row is a message, its columns the
    fields. Folders are read with all that is below them.

    Raises:
        InputUnreadable: There is nothing at `source`, or files of both kinds.
        OutputExists: There is something at `target`.

    """
    parquet = _is_parquet(spark, source)
    try:
        records = read_parquet(spark, source) if parquet else read_lines(spark, source)
    except PySparkException as error:  # of what is read here, the schema
        hint = "; write times in microseconds" if "NANOS" in str(error) else ""
        raise InputUnreadable(source, str(error).splitlines()[0] + hint) from None
    answer = predictions(specs, results=RESULTS, dead_letters=DEAD_LETTERS)
    counts = Observation()
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
    records = outcomes.select("outcome", "key", "value", "headers")
    writer = (records if parquet else as_lines(records)).write.partitionBy("outcome")
    try:
        writer.format("parquet" if parquet else "text").save(target)
    except AnalysisException as error:
        if "PATH_ALREADY_EXISTS" in str(error):
            raise OutputExists(target) from None
        raise
    except Exception:
        _remove(spark, target)  # what is there is not whole, and would bar the next try
        raise
    return Counts(**counts.get)


def read_lines(spark: SparkSession, path: str) -> DataFrame:
    """Return a message for each line, byte for byte; blank lines are none."""
    lines = _reader(spark).text(path).where(length(trim(col("value"))) > 0)
    return lines.select(
        col("value").cast("binary").alias("value"), col("_metadata.file_path").alias("topic")
    )


def read_parquet(spark: SparkSession, path: str) -> DataFrame:
    """Return the records, or a message for each row."""
    rows = _reader(spark).parquet(path)
    if dict(rows.dtypes).get("value") == "binary":
        return rows
    return rows.select(
        to_json(struct("*"), {"ignoreNullFields": "false"}).cast("binary").alias("value"),
        col("_metadata.file_path").alias("topic"),
    )


def as_lines(outcomes: DataFrame) -> DataFrame:
    """Return a line for each outcome: a result as it is, a dead letter as JSON with its headers."""
    text = col("value").cast("string")
    dead_letter = struct(
        when(is_valid_utf8(text), text).alias("value"),
        when(~is_valid_utf8(text), base64("value")).alias("value_base64"),
        map_from_entries(
            transform("headers", lambda h: struct(h["key"].alias("key"), h["value"].cast("string")))
        ).alias("headers"),
    )
    return outcomes.select(
        when(col("outcome") == RESULTS, text).otherwise(to_json(dead_letter)).alias("line"),
        "outcome",
    )


def _reader(spark: SparkSession) -> DataFrameReader:
    return spark.read.option("recursiveFileLookup", "true")


def _is_parquet(spark: SparkSession, path: str) -> bool:
    """Tell by the names of the files."""
    try:
        files = _reader(spark).format("binaryFile").load(path).inputFiles()
    except AnalysisException as error:
        raise InputUnreadable(path, str(error).splitlines()[0]) from None
    kinds = {file.lower().endswith(".parquet") for file in files}
    if not kinds:
        raise InputUnreadable(path, "there are no files")
    if len(kinds) > 1:
        raise InputUnreadable(path, "some files are Parquet and some are not: give one kind")
    return kinds.pop()


def _remove(spark: SparkSession, path: str) -> None:
    """Remove a folder on whatever file system it is."""
    java: Any = spark.sparkContext._jvm  # noqa: SLF001 - the one way to Hadoop's file systems
    folder = java.org.apache.hadoop.fs.Path(path)
    configuration = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
    folder.getFileSystem(configuration).delete(folder, True)  # noqa: FBT003 - Java's signature
