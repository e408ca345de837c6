"""Read each row of a Parquet file as a record or a message, and encode outcomes as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.functions import array, coalesce, concat, struct, to_json

from tidemill.batch.origin import origin, origin_headers
from tidemill.batch.source import READ_OPTIONS
from tidemill.spark.columns import mismatched_columns, record_columns
from tidemill.spark.schemas import HEADERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.batch.source import Source

ORIGIN = "tidemill_origin"


def read(spark: SparkSession, source: Source, path: str) -> DataFrame:
    """Return the rows as records if there is a binary column `value`.

    Otherwise encode the columns of each row as the JSON fields of a message.
    """
    rows = spark.read.options(**READ_OPTIONS).parquet(path)
    metadata = rows.metadataColumn("_metadata")
    headers = origin_headers(source, metadata["file_path"], "row", metadata["row_index"])
    types = {name.lower(): data_type for name, data_type in rows.dtypes}
    if types.get("value") != "binary":
        message = to_json(struct("*"), {"ignoreNullFields": "false"}).cast("binary")
        return rows.select(message.alias("value"), headers.alias("headers"))
    # pyarrow gives an arbitrary type to a column without values: drop it.
    empty = [
        name
        for name in mismatched_columns(rows.schema)
        if rows.where(rows[name].isNotNull()).isEmpty()
    ]
    records = rows.select("*", headers.alias(ORIGIN)).drop(*empty)
    # If a name occurs twice, the last header counts.
    all_headers = concat(coalesce("headers", array().cast(HEADERS)), ORIGIN)
    return records.select(*record_columns(records), ORIGIN).withColumn("headers", all_headers)


def encode(outcomes: DataFrame) -> DataFrame:
    """Return the outcomes as records, with the file and row that each came from."""
    return outcomes.select("outcome", "key", "value", "headers", origin("row").alias("source"))
