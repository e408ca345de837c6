"""Read each line of a text file as a record, and encode outcomes as lines of JSON."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pyspark.sql.functions import (
    base64,
    broadcast,
    col,
    concat,
    count,
    is_valid_utf8,
    length,
    lit,
    map_from_entries,
    monotonically_increasing_id,
    struct,
    to_json,
    transform,
    when,
)
from pyspark.sql.functions import min as least

from tidemill.batch.origin import origin, origin_headers
from tidemill.batch.output import RESULTS
from tidemill.batch.source import READ_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.batch.source import Source

PARTITIONS = "spark.sql.files.minPartitionNum"


def read(spark: SparkSession, source: Source, path: str) -> DataFrame:
    """Return a record for each line, byte for byte, except for blank lines.

    Spark reads a large file in splits, and the reader of a split does not know how many lines
    precede it. So a first pass counts the lines of each split.
    """
    # Both passes must cut the same splits. On a cluster their default number follows the number of
    # executors, which may change between the passes.
    cores = str(spark.sparkContext.defaultParallelism)
    spark.conf.set(PARTITIONS, spark.conf.get(PARTITIONS, None) or cores)
    text = spark.read.options(**READ_OPTIONS).text(path)
    metadata = text.metadataColumn("_metadata")
    lines = text.select(
        "value",
        metadata["file_path"].alias("file"),
        metadata["file_block_start"].alias("start"),
        monotonically_increasing_id().alias("id"),  # consecutive within a split
    )
    counted = lines.groupBy("file", "start").agg(least("id"), count(lit(1))).collect()
    splits = spark.createDataFrame(
        list(_count_preceding(sorted(map(tuple, counted)))),
        "file string, start long, first_id long, preceding long",
    )
    numbered = lines.join(broadcast(splits), ["file", "start"], "left")
    number = col("preceding") + col("id") - col("first_id") + 1
    return numbered.where(col("value").rlike(r"(?U)\S")).select(
        col("value").cast("binary").alias("value"),
        origin_headers(source, col("file"), "line", number).alias("headers"),
    )


def _count_preceding(
    splits: Iterable[tuple[str, int, int, int]],
) -> Iterator[tuple[str, int, int, int]]:
    """Replace the number of lines of each split by the number that precede it in its file."""
    for _, file_splits in groupby(splits, key=lambda split: split[0]):
        preceding = 0
        for file, start, first_id, lines in file_splits:
            yield file, start, first_id, preceding
            preceding += lines


def encode(outcomes: DataFrame) -> DataFrame:
    """Return a line for each outcome: a result as it is, a dead letter as JSON with its headers.

    Add the file and line that a result came from as its last field; a dead letter's headers have
    them.
    """
    text = col("value").cast("string")
    dead_letter = struct(
        when(is_valid_utf8(text), text).alias("value"),
        when(~is_valid_utf8(text), base64("value")).alias("value_base64"),
        map_from_entries(
            transform("headers", lambda h: struct(h["key"].alias("key"), h["value"].cast("string")))
        ).alias("headers"),
    )
    source = to_json(struct(origin("line").alias("tidemill.source")))
    # Join two JSON objects, each with at least one field.
    result = concat(
        text.substr(lit(1), length(text) - 1), lit(","), source.substr(lit(2), length(source))
    )
    return outcomes.select(
        when(col("outcome") == RESULTS, result).otherwise(to_json(dead_letter)).alias("line"),
        "outcome",
    )
