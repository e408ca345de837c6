"""Infer the columns of a table from its first rows."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidemill.errors import InvalidRow
from tidemill.settings.store import OR_NULL
from tidemill.store.rows import is_blank
from tidemill.store.table import KEY_TYPES, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidemill.settings.store import ColumnType
    from tidemill.store.rows import Row

SAMPLE: Final = 1000
TYPES: Final[dict[type, ColumnType]] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "json",
    dict: "json",
}


def infer(name: str, key: tuple[str, ...], rows: Iterable[Row]) -> tuple[Table, Iterator[Row]]:
    """Return a table with the columns of the first 1,000 rows; and all rows.

    Raises:
        InvalidRow: A row is not a JSON object.

    """
    rest = iter(rows)
    sample = list(islice(rest, SAMPLE))
    seen: dict[str, set[type]] = {}
    objects = [
        _object(name, number, row) for number, row in enumerate(sample, 1) if not is_blank(row)
    ]
    for each in objects:
        for column, value in each.items():
            seen.setdefault(column, set()).add(type(value))
    columns = {
        column: _type(kinds, missing=any(column not in each for each in objects))
        for column, kinds in seen.items()
    }
    for column in key:
        if columns.get(column) not in KEY_TYPES:
            columns[column] = "text"
    return Table(name, key, columns), chain(sample, rest)


def _object(name: str, number: int, row: Row) -> dict[str, Any]:
    if not isinstance(row, bytes | str):
        return dict(row)
    try:
        found: dict[str, Any] = msgspec.json.decode(row, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise InvalidRow(name, number, error) from None
    return found


def _type(kinds: set[type], *, missing: bool) -> ColumnType:
    values = {TYPES.get(kind, "json") for kind in kinds - {type(None)}}
    if values == {"integer", "number"}:
        values = {"number"}
    kind: ColumnType = values.pop() if len(values) == 1 else "json"
    optional: ColumnType = f"{kind}{OR_NULL}"  # type: ignore[assignment]  # each type has one
    return optional if missing or type(None) in kinds else kind
