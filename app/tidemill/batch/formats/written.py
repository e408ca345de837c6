"""Complete the files of an output before they are published."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from pyarrow import parquet

from tidemill.batch.formats.parquet import conform, unify

if TYPE_CHECKING:
    import pyarrow as pa

    from tidemill.batch.staging import Staging

RESULTS = "results"


def finish_parquet(staging: Staging) -> None:
    """Give all files the same columns and types."""
    if paths := staging.paths(RESULTS):
        unify(staging.filesystem, paths)


def finish_csv(staging: Staging) -> None:
    """Replace the Parquet files by CSV files with the same header; values in values are JSON."""
    paths = staging.paths(RESULTS)
    if not paths:
        return
    schema = unify(staging.filesystem, paths)
    for path in paths:
        table = conform(parquet.read_table(path, filesystem=staging.filesystem), schema)
        staging.write(
            f"{RESULTS}/{path.rpartition('/')[2]}.csv".replace(".parquet", ""), to_csv(table)
        )
        staging.filesystem.delete_file(path)


def to_csv(table: pa.Table) -> bytes:
    """Return a table as CSV with a header, with line feeds (otherwise as in RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.schema.names)
    columns = [map(_cell, column.to_pylist()) for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list | dict | bool):
        return msgspec.json.encode(value).decode()
    return value
