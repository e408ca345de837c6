"""Read rows: check their columns, and split them into key, time, version and values."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from tidemill.errors import InvalidKey, InvalidRow
from tidemill.settings.store import OR_NULL
from tidemill.store.table import MAX_INTEGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.store.table import Table

# A row as users have it: a JSON object, or a mapping of columns.
Row: TypeAlias = "bytes | str | Mapping[str, object]"

TYPES: Final[dict[str, Any]] = {
    "text": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "json": msgspec.Raw,  # as it is written: 4.50 stays 4.50
    "time": int | datetime,
}


class StoredRow(NamedTuple):
    """A row as the database has it; `data` is a JSON object, or None if the key is deleted."""

    key: str | int
    time: int
    version: str | None
    data: str | None


def is_blank(row: Row) -> bool:
    """Return whether a row is a blank line."""
    return isinstance(row, bytes | str) and not row.strip()


class RowReader:
    """Reads the rows of one table."""

    def __init__(self, table: Table, version: str | None = None) -> None:
        """Prepare decoders, which check types as fast as they parse.

        `version` is that of rows without a column for it.
        """
        self._table = table
        self._version = version
        identity = dict(zip(table.key, table.key_types, strict=True))
        if table.time:
            identity[table.time] = "time"
        if table.version:
            identity[table.version] = "text"
        self._identity = _struct(identity, TYPES)
        self._identities = msgspec.json.Decoder(self._identity)
        self._values = msgspec.json.Decoder(_struct(table.value_columns, TYPES))
        self._plain = _struct(table.value_columns, {**TYPES, "json": Any})

    def read(self, number: int, row: Row, time: int, *, deleted: bool = False) -> StoredRow:
        """Return a row as the database has it.

        `number` is that of the row, for errors. `time` counts if the table has no column for it.
        Of a row that deletes its key, only the key and the time are read.

        Raises:
            InvalidRow: It does not have the table's columns.

        """
        table = self._table
        data = None
        try:
            if isinstance(row, bytes | str):
                identity = self._identities.decode(row)
                if not deleted:
                    data = msgspec.json.encode(self._values.decode(row)).decode()
            else:
                row = {name: _finite(name, value) for name, value in row.items()}
                identity = msgspec.convert(row, self._identity)
                if not deleted:
                    data = msgspec.json.encode(msgspec.convert(row, self._plain)).decode()
            parts = [getattr(identity, field) for field in identity.__struct_fields__]
            key = table.encode_key(parts[0] if len(table.key) == 1 else parts[: len(table.key)])
            at = _ms(parts[len(table.key)] if table.time else time)
            made_by = _storable(parts[-1]) if table.version else self._version
        except (ValueError, TypeError, RecursionError, InvalidKey) as error:
            raise InvalidRow(table.name, number, error) from None
        return StoredRow(key, at, made_by, data)


def _struct(columns: Mapping[str, str], types: Mapping[str, Any]) -> type[msgspec.Struct]:
    """Define a class whose fields are columns; those that may be null may be missing."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    for number, (column, kind) in enumerate(columns.items()):
        field, annotation = f"column_{number}", types[kind.removesuffix(OR_NULL)]
        names[field] = column
        if not kind.endswith(OR_NULL):
            fields.append((field, annotation))
        elif kind.startswith("json"):  # may be null anyway
            fields.append((field, annotation, None))
        else:
            fields.append((field, annotation | None, None))
    return msgspec.defstruct("Columns", fields, rename=names, kw_only=True)


def _finite(name: str, value: object) -> object:
    """Return a value that JSON has; NaN is how DataFrames spell null."""
    if isinstance(value, float) and not math.isfinite(value):
        if math.isinf(value):
            raise ValueError(f"{name}: JSON has no infinite numbers")
        return None
    return value


def _storable(version: str) -> str:
    """Return a version that PostgreSQL can hold."""
    version.encode()  # fails for half of a surrogate pair
    if "\0" in version:
        raise ValueError("a version has no character NUL")
    return version


def _ms(time: int | datetime) -> int:
    if isinstance(time, int):
        if not -MAX_INTEGER <= time < MAX_INTEGER:
            raise ValueError("a time is an integer of 64 bits")
        return time
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
