"""Read a batch's input as records that know their file, and their line or row, by headers."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql.functions import (
    array,
    broadcast,
    coalesce,
    col,
    concat,
    count,
    lit,
    monotonically_increasing_id,
    regexp_replace,
    replace,
    struct,
    to_json,
    url_decode,
)
from pyspark.sql.functions import min as least

from tidemill.batch.source import is_hidden, is_parquet
from tidemill.errors import InputUnreadable, WrongColumnType
from tidemill.spark.columns import misfits, record_columns
from tidemill.spark.schemas import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession

    from tidemill.batch.source import Source

# Headers that each record gets; after those that it has, as of a name the last one counts.
FILE, LINE, ROW = "tidemill.source.file", "tidemill.source.line", "tidemill.source.row"
PARTITIONS = "spark.sql.files.minPartitionNum"


def read(spark: SparkSession, source: Source, path: str) -> tuple[DataFrame, bool]:
    """Return the records at a path, and whether they come from Parquet.

    Raises:
        InputUnreadable: There are no files, or files that cannot be read as what they should be.

    """
    try:
        parquet = _is_parquet(spark, source, path) if source.parquet is None else source.parquet
        return (_rows if parquet else _lines)(spark, source, path), parquet
    except PySparkException as error:  # of what is read here, the schema
        hint = "; write times in microseconds" if "NANOS" in str(error) else ""
        raise InputUnreadable(source.given, str(error).splitlines()[0] + hint) from None
    except WrongColumnType as error:
        raise InputUnreadable(source.given, error) from None


def _lines(spark: SparkSession, source: Source, path: str) -> DataFrame:
    """Return a record for each line, byte for byte; lines of white space are none.

    Spark reads a large file in splits, and only the first of them knows its lines' numbers: the
    lines are counted before, split by split.
    """
    # On a cluster the default follows the number of executors, which may change between two looks.
    spark.conf.set(PARTITIONS, spark.conf.get(PARTITIONS, None) or _cores(spark))
    text = _reader(spark).text(path)
    origin = text.metadataColumn("_metadata")
    lines = text.select(
        "value",
        origin["file_path"].alias("file"),
        origin["file_block_start"].alias("start"),
        monotonically_increasing_id().alias("id"),  # consecutive within a split
    )
    counted = lines.groupBy("file", "start").agg(least("id"), count(lit(1))).collect()
    first_lines = spark.createDataFrame(
        list(_first_lines(sorted(map(tuple, counted)))),
        "file string, start long, first_id long, before long",
    )
    numbered = lines.join(broadcast(first_lines), ["file", "start"], "left")
    line = col("before") + col("id") - col("first_id") + 1
    return numbered.where(col("value").rlike(r"(?U)\S")).select(
        col("value").cast("binary").alias("value"),
        _origin(source, col("file"), LINE, line).alias("headers"),
    )


def _first_lines(
    splits: Iterable[tuple[str, int, int, int]],
) -> Iterator[tuple[str, int, int, int]]:
    """Replace each split's number of lines by that of the lines before it in its file."""
    for _, of_file in groupby(splits, key=lambda split: split[0]):
        before = 0
        for file, start, first_id, lines in of_file:
            yield file, start, first_id, before
            before += lines


def _rows(spark: SparkSession, source: Source, path: str) -> DataFrame:
    """Return the records, or a message for each row."""
    rows = _reader(spark).parquet(path)
    metadata = rows.metadataColumn("_metadata")
    origin = _origin(source, metadata["file_path"], ROW, metadata["row_index"])
    types = {name.lower(): kind for name, kind in rows.dtypes}
    if types.get("value") != "binary":
        value = to_json(struct("*"), {"ignoreNullFields": "false"}).cast("binary")
        return rows.select(value.alias("value"), origin.alias("headers"))
    # A column without a value in any row may have any type: pyarrow cannot know a better one.
    empty = [name for name in misfits(rows.schema) if rows.where(rows[name].isNotNull()).isEmpty()]
    records = rows.select("*", origin.alias(FILE)).drop(*empty)
    headers = concat(coalesce("headers", array().cast(HEADERS)), col(f"`{FILE}`"))
    return records.select(*record_columns(records), f"`{FILE}`").withColumn("headers", headers)


def _origin(source: Source, file: Column, unit: str, number: Column) -> Column:
    """Return the headers that say where a record comes from."""
    encoded = replace(file, lit("+"), lit("%2B"))  # which a URL's decoder takes for a blank
    name = regexp_replace(url_decode(encoded), "^file:(//)?(?=/)", "")
    if source.path and not source.path.is_dir():
        name = lit(str(source.path))
    return array(
        struct(lit(FILE).alias("key"), name.cast("binary").alias("value")),
        struct(lit(unit).alias("key"), number.cast("string").cast("binary").alias("value")),
    )


def _is_parquet(spark: SparkSession, source: Source, path: str) -> bool:
    try:
        files = _reader(spark).format("binaryFile").load(path).inputFiles()
    except AnalysisException as error:
        raise InputUnreadable(source.given, str(error).splitlines()[0]) from None
    names = (file.rpartition("/")[2] for file in files)
    return is_parquet(source.given, [name for name in names if not is_hidden(name)])


def _reader(spark: SparkSession) -> DataFrameReader:
    # Spark's own option for paths that are no patterns.
    return spark.read.options(recursiveFileLookup="true", __globPaths__="false")


def _cores(spark: SparkSession) -> str:
    return str(spark.sparkContext.defaultParallelism)
