"""Read plain look-ups, and write their answers; a row's JSON is passed on as the store has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from tidemill.errors import InvalidKey, InvalidRequest, KeyNotFound
from tidemill.units import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.store.catalogue import Generation
    from tidemill.store.reader import Rows, StoreRow
    from tidemill.store.table import Key, Table

INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
NULL: Final = msgspec.Raw(b"null")
# How many columns an error suggests.
MAX_LISTED = 9


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """A look-up of several keys; without `columns` it asks for all of them."""

    keys: list[Any]
    columns: list[str] | None = None


class Row(msgspec.Struct):
    """What there is for a key."""

    values: msgspec.Raw
    time: str
    version: str | None


class Answer(msgspec.Struct):
    """The rows of several keys, in their order; None for a miss."""

    table: str
    generation: int
    rows: list[Row | None]


class OneAnswer(msgspec.Struct):
    """The row of one key."""

    table: str
    key: Any
    generation: int
    values: msgspec.Raw
    time: str
    version: str | None


_REQUESTS = msgspec.json.Decoder(Request)
_COLUMNS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


def decode(body: bytes) -> Request:
    """Return the request in a body.

    Raises:
        InvalidRequest: There is none.

    """
    try:
        return _REQUESTS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(error) from None


def key_of(table: Table, parts: Sequence[str]) -> Key:
    """Return the key that parts of a URL's path spell: one for each key column.

    Raises:
        InvalidKey: They spell none.

    """
    try:
        texts = [unquote(part, errors="strict") for part in parts]
    except UnicodeDecodeError:
        raise InvalidKey(table.name, repr("/".join(parts)), "it is not UTF-8") from None
    if len(texts) != len(table.key):
        needed = f"its path needs {'/'.join(table.key)}, with / in a key as %2F"
        raise InvalidKey(table.name, repr("/".join(texts)), needed)
    values = [
        int(text) if kind == "integer" and INTEGER.fullmatch(text) else text
        for text, kind in zip(texts, table.key_types, strict=True)
    ]
    return values[0] if len(values) == 1 else values


def encode(table: Table, rows: Rows, columns: Sequence[str] | None) -> bytes:
    """Return the answer to a request for several keys.

    Raises:
        InvalidRequest: The table has no such column.

    """
    check_columns(table, columns)
    made = [row and _row(row, columns) for row in rows.rows]
    return _ENCODER.encode(Answer(table.name, rows.generation, made))


def encode_one(
    table: Table, rows: Rows, key: Key, columns: Sequence[str] | None
) -> bytes | KeyNotFound:
    """Return the answer to a request for one key; an error if there is no row.

    Raises:
        InvalidRequest: The table has no such column.

    """
    check_columns(table, columns)
    (row,) = rows.rows
    if row is None:
        return KeyNotFound(table.name, repr(key))
    made = _row(row, columns)
    return _ENCODER.encode(
        OneAnswer(table.name, key, rows.generation, made.values, made.time, made.version)
    )


def check_columns(table: Table, columns: Sequence[str] | None) -> None:
    """Check that a table has some columns.

    Raises:
        InvalidRequest: It has not.

    """
    known = table.value_columns
    for column in columns or ():
        if column not in known:
            listed = ", ".join([*known][:MAX_LISTED])
            raise InvalidRequest(f"the table has no column {column[:60]!r}, but {listed}")


def _row(row: StoreRow, columns: Sequence[str] | None) -> Row:
    values = msgspec.Raw(row.data)
    if columns is not None:
        found = _COLUMNS.decode(row.data)
        values = msgspec.Raw(_ENCODER.encode({name: found.get(name, NULL) for name in columns}))
    return Row(values, moment(row.time), row.version)


def describe(generation: Generation) -> dict[str, Any]:
    """Return what clients may know about a table."""
    table = generation.table
    return {
        "table": table.name,
        "key": dict(zip(table.key, table.key_types, strict=True)),
        "columns": table.value_columns,
        "generation": generation.number,
        "live_since": moment(generation.swapped or generation.created),
    }
