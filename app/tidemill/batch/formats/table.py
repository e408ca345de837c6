"""Make messages of the rows of a table, and a table of results."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from pyarrow import compute

from tidemill.batch.block import Block, block_rows
from tidemill.batch.formats.delimited import NUMBERS
from tidemill.batch.origin import SOURCE, origin, origin_headers
from tidemill.inference.codec import ENVELOPE, VARIANT, VARIANT_FORCED
from tidemill.inference.message import Message, Prediction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidemill.batch.block import Part

TIME = pa.timestamp("us", "UTC")
# The type of each field of a result that does not depend on the model.
FIXED = {"model": pa.string(), "ts_start": TIME, "ts_end": TIME, "error_message": pa.string()}
# Added to the name of a column of the input if a field of the result has this name.
INPUT = "input_"
_JSON = msgspec.json.Encoder(decimal_format="number")


def blocks(
    path: str, before: int, batches: Iterable[pa.RecordBatch], scale: float
) -> Iterator[Block]:
    """Yield the rows of a table as messages; `scale` is the size of a row.

    The columns of a row are the fields of its message. But if there is a binary column `value`, the
    rows are records, as in Kafka.
    """
    for batch in _cut(batches):
        rows = pa.Table.from_batches([_without_nanoseconds(batch)])
        is_record = (
            rows.schema.field("value").type in (pa.binary(), pa.large_binary())
            if ("value" in rows.schema.names)
            else False
        )
        make = _record if is_record else _message
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


def _same(rows: pa.Table) -> pa.Table:
    return rows


def _message(row: dict[str, object], path: str, number: int) -> Message:
    return Message(_JSON.encode(row), headers=origin_headers(path, "row", number))


def _record(row: dict[str, Any], path: str, number: int) -> Message:
    key = row.get("key")
    headers = row.get("headers") or {}
    pairs = (
        headers.items() if isinstance(headers, dict) else [(h["key"], h["value"]) for h in headers]
    )
    return Message(
        value=row["value"],
        key=_bytes(key),
        topic=row.get("topic"),
        partition=row.get("partition"),
        offset=row.get("offset"),
        timestamp=_milliseconds(row.get("timestamp")),
        headers=(
            *((name, _bytes(content)) for name, content in pairs),
            *origin_headers(path, "row", number),
        ),
    )


def _milliseconds(value: datetime | int | None) -> int | None:
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=value.tzinfo or UTC).timestamp() * 1000)
    return value


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) or value is None else str(value).encode()


def _without_nanoseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Drop nanoseconds, which Python's times do not have."""
    schema = batch.schema
    for index, field in enumerate(schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            schema = schema.set(index, field.with_type(pa.timestamp("us", field.type.tz)))
    return batch if schema is batch.schema else batch.cast(schema, safe=False)


def results_table(part: Part, *, typed: bool) -> pa.Table:
    """Return the results: the columns of the input, and the fields of the result.

    If the input has no columns, there are those fields of the messages that the result has. With
    `typed`, text columns of numbers become numbers.
    """
    columns = [block.columns() for block in part.blocks if block.columns]
    inputs = {name for table in columns for name in table.schema.names}
    kept: list[int] = []
    rows: list[dict[str, object]] = []
    for index, (message, outcome) in enumerate(part.pairs()):
        if isinstance(outcome, Prediction):
            kept.append(index)
            rows.append(_own(msgspec.json.decode(outcome.value), inputs))
            rows[-1][SOURCE] = origin(message)
    added = {
        name: _column([row.get(name) for row in rows], FIXED.get(name))
        for name in dict.fromkeys(chain.from_iterable(rows))
    }
    table = _inputs(columns, kept, added.keys(), typed=typed)
    for name, column in added.items():
        table = table.append_column(name, column)
    return table


def _own(fields: dict[str, object], inputs: set[str]) -> dict[str, object]:
    """Return the fields that the result does not share with the input: the output and after it."""
    names = list(fields)
    output = names[names.index("model") - 1]
    always = {output, *ENVELOPE, VARIANT, VARIANT_FORCED}
    return {name: value for name, value in fields.items() if name in always or name not in inputs}


def _inputs(
    columns: Sequence[pa.Table], kept: list[int], taken: Iterable[str], *, typed: bool
) -> pa.Table:
    """Return the rows of the input that have results."""
    if not columns:
        return pa.table({})
    table = pa.concat_tables(columns, promote_options="permissive").take(kept)
    names = [f"{INPUT}{name}" if name in set(taken) else name for name in table.schema.names]
    table = table.rename_columns(names)
    for index, field in enumerate(table.schema if typed else ()):
        if field.metadata == NUMBERS:
            column = _numbers(table.column(index))
            table = table.set_column(index, pa.field(field.name, column.type), column)
    return table


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    for kind in (pa.int64(), pa.float64()):
        try:
            return compute.cast(column, kind)
        except pa.ArrowInvalid:
            continue
    return column


def _column(values: list[object], kind: pa.DataType | None) -> pa.Array:
    """Return a column; if its values have no common type, all become text."""
    if kind == TIME:
        return pa.array(values, pa.string()).cast(TIME)
    try:
        column = pa.array(values, kind)
        return column if not _is_empty(column.type) else as_text(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return as_text(values)


def _is_empty(kind: pa.DataType) -> bool:
    """Tell whether a type holds a struct without fields, which Parquet cannot write."""
    children = [kind.field(i).type for i in range(kind.num_fields)]
    return (pa.types.is_struct(kind) and not children) or any(map(_is_empty, children))


def as_text(values: Iterable[object]) -> pa.Array:
    """Return values as text: text as it is, anything else as JSON."""
    return pa.array(
        [
            value if value is None or isinstance(value, str) else _JSON.encode(value).decode()
            for value in values
        ],
        pa.string(),
    )
