"""Records as Spark hands them to a worker."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from tidemill.spark.schemas import RECORD

ARROW_RECORD = to_arrow_schema(RECORD, timezone="UTC")


def record_batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Return an Arrow batch of records; a column that a row lacks is null."""
    records = [{**dict.fromkeys(RECORD.names), **row} for row in rows]
    return pa.RecordBatch.from_pylist(records, schema=ARROW_RECORD)
