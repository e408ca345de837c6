"""Make messages of the rows of a table."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tidemill.batch.block import Block, block_rows
from tidemill.batch.formats.columns import JSON, without_nanoseconds
from tidemill.batch.origin import origin_headers
from tidemill.errors import InputUnreadable
from tidemill.inference.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

types = pa.types


def blocks(
    path: str, before: int, batches: Iterable[pa.RecordBatch], scale: float
) -> Iterator[Block]:
    """Yield the rows of a table as messages; `scale` is the size of a row.

    The columns of a row are the fields of its message. But if there is a binary column `value`, the
    rows are records, as in Kafka.

    Raises:
        InputUnreadable: Two columns have the same name, or the type of a record's column is wrong.

    """
    for batch in _cut(batches):
        check_names(path, batch.schema.names)
        exact = [without_nanoseconds(kind) for kind in batch.schema.types]
        schema = pa.schema(list(zip(batch.schema.names, exact, strict=True)))
        rows = pa.Table.from_batches([batch.cast(schema, safe=False)])
        make = _record if _has_records(path, schema) else _message
        messages = [
            make(row, path, number)
            for number, row in enumerate(rows.to_pylist(maps_as_pydicts="lossy"), before)
        ]
        yield Block(messages, round(scale * len(messages)), partial(_same, rows))
        before += len(messages)


def _cut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches to the sizes of blocks."""
    sizes = block_rows()
    for batch in batches:
        rest = batch
        while rest.num_rows:
            most = next(sizes)
            yield rest.slice(0, most)
            rest = rest.slice(most)


def check_names(path: str, names: list[str]) -> None:
    """Check the names of columns.

    Raises:
        InputUnreadable: A name occurs twice.

    """
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputUnreadable(path, f"two columns are named {twice!r}")


def _same(rows: pa.Table) -> pa.Table:
    return rows


def _message(row: dict[str, object], path: str, number: int) -> Message:
    return Message(JSON.encode(row), headers=origin_headers(path, "row", number))


def _is_binary(kind: pa.DataType) -> bool:
    return kind in (pa.binary(), pa.large_binary())


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string())


def _are_headers(kind: pa.DataType) -> bool:
    if types.is_map(kind):
        return _is_text(kind.key_type) and _is_binary(kind.item_type)
    is_list = types.is_list(kind) and types.is_struct(kind.value_type)
    names = {field.name for field in kind.value_type} if is_list else set()
    return {"key", "value"} <= names


# What a record's columns may be, apart from always null.
RECORD: Mapping[str, Callable[[pa.DataType], bool]] = {
    "key": lambda kind: _is_binary(kind) or _is_text(kind),
    "topic": _is_text,
    "partition": types.is_integer,
    "offset": types.is_integer,
    "timestamp": lambda kind: types.is_integer(kind) or types.is_timestamp(kind),
    "headers": _are_headers,
}


def _has_records(path: str, schema: pa.Schema) -> bool:
    if "value" not in schema.names or not _is_binary(schema.field("value").type):
        return False
    wrong = [
        f"{field.name!r} is {field.type}"
        for field in schema
        if field.name in RECORD
        and not (types.is_null(field.type) or RECORD[field.name](field.type))
    ]
    if wrong:
        raise InputUnreadable(path, f"its rows are records, but {', '.join(wrong)}")
    return True


def _record(row: dict[str, Any], path: str, number: int) -> Message:
    headers = row.get("headers") or {}
    pairs = (
        headers.items()
        if isinstance(headers, dict)
        else [(header["key"], header["value"]) for header in headers if header]
    )
    return Message(
        value=row["value"],
        key=_bytes(row.get("key")),
        topic=row.get("topic"),
        partition=row.get("partition"),
        offset=row.get("offset"),
        timestamp=_milliseconds(row.get("timestamp")),
        headers=(
            *((name or "", _bytes(content)) for name, content in pairs),
            *origin_headers(path, "row", number),
        ),
    )


def _milliseconds(value: datetime | int | None) -> int | None:
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=value.tzinfo or UTC).timestamp() * 1000)
    return value


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
