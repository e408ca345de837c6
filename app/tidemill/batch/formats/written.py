"""Complete the files of an output before they are published."""

from __future__ import annotations

import base64
import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING

from pyarrow import parquet

from tidemill.batch.formats.columns import JSON
from tidemill.batch.formats.parquet import SUFFIX, unify
from tidemill.batch.staging import RESULTS

if TYPE_CHECKING:
    import pyarrow as pa

    from tidemill.batch.staging import Staging


def finish_parquet(staging: Staging) -> None:
    """Give all files the same columns and types."""
    unify(staging)


def finish_csv(staging: Staging) -> None:
    """Replace the Parquet files by CSV files with the same header; values in values are JSON."""
    for path in unify(staging):
        table = parquet.read_table(path, filesystem=staging.filesystem)
        name = path.rpartition("/")[2].removesuffix(SUFFIX)
        staging.write(f"{RESULTS}/{name}.csv", to_csv(table))
        staging.filesystem.delete_file(path)


class Lines(io.StringIO):
    """Take rows from a `csv.writer`, and end them with line feeds.

    Until Python 3.13, the writer quotes a carriage return only if its own rows end with one.
    """

    def write(self, row: str) -> int:
        """Write one row."""
        return super().write(row.removesuffix("\r\n") + "\n")


def to_csv(table: pa.Table) -> bytes:
    """Return a table as CSV with a header, with line feeds (otherwise as in RFC 4180)."""
    text = Lines()
    writer = csv.writer(text)
    writer.writerow(table.schema.names)
    columns = [map(_cell, column.to_pylist(maps_as_pydicts="lossy")) for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list | dict | bool):
        return JSON.encode(value).decode()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
