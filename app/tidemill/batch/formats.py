"""Choose the file format of a batch by the names of its files, and read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException, PySparkException

from tidemill.batch import json_lines, parquet
from tidemill.batch.source import READ_OPTIONS, is_hidden, is_parquet
from tidemill.errors import InputUnreadable, WrongColumnType

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.batch.source import Source


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: its data source in Spark, how to read records, and how to encode outcomes."""

    data_source: str
    read: Callable[[SparkSession, Source, str], DataFrame]
    encode: Callable[[DataFrame], DataFrame]


JSON_LINES = Format("text", json_lines.read, json_lines.encode)
PARQUET = Format("parquet", parquet.read, parquet.encode)


def read(spark: SparkSession, source: Source, path: str) -> tuple[DataFrame, Format]:
    """Return the records at a path, and the format that they were read from.

    Raises:
        InputUnreadable: There are no files, their formats differ, or Spark cannot read them.

    """
    try:
        file_format = PARQUET if _is_parquet(spark, source, path) else JSON_LINES
        return file_format.read(spark, source, path), file_format
    except PySparkException as error:  # Spark reads the schema here
        hint = "; write times in microseconds" if "NANOS" in str(error) else ""
        raise InputUnreadable(source.path, str(error).splitlines()[0] + hint) from None
    except WrongColumnType as error:
        raise InputUnreadable(source.path, "; ".join(error.problems) or error) from None


def _is_parquet(spark: SparkSession, source: Source, path: str) -> bool:
    if source.parquet is not None:
        return source.parquet
    # The source is on a file system that only Spark can list.
    files = spark.read.options(**READ_OPTIONS).format("binaryFile")
    try:
        urls = files.load(path).inputFiles()
    except AnalysisException as error:
        raise InputUnreadable(source.path, str(error).splitlines()[0]) from None
    names = (url.rpartition("/")[2] for url in urls)
    return is_parquet(source.path, [name for name in names if not is_hidden(name)])
