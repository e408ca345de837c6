"""Make a table of results."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
from pyarrow import compute

from tidemill.batch.formats.columns import as_text, common_schema, conform
from tidemill.batch.formats.delimited import NUMBERS
from tidemill.batch.origin import SOURCE, origin
from tidemill.inference.codec import ENVELOPE, VARIANT, VARIANT_FORCED
from tidemill.inference.message import Prediction

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tidemill.batch.block import Part

TIME = pa.timestamp("us", "UTC")
# The type of each field of a result that does not depend on the model.
FIXED = {"model": pa.string(), "ts_start": TIME, "ts_end": TIME, "error_message": pa.string()}
# Added to the name of a column of the input if a field of the result has this name.
INPUT = "input_"


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
    return pa.table(_inputs(columns, kept, added, typed=typed) | added)


def _own(fields: dict[str, object], inputs: set[str]) -> dict[str, object]:
    """Return the fields that the result does not share with the input: the output and after it."""
    names = list(fields)
    output = names[names.index("model") - 1]
    always = {output, *ENVELOPE, VARIANT, VARIANT_FORCED}
    return {name: value for name, value in fields.items() if name in always or name not in inputs}


def _inputs(
    tables: Sequence[pa.Table], kept: list[int], taken: Collection[str], *, typed: bool
) -> dict[str, pa.ChunkedArray]:
    """Return the columns of the input, with the rows that have results."""
    if not tables:
        return {}
    schema = common_schema(table.schema for table in tables)
    rows = pa.concat_tables(conform(table, schema) for table in tables)
    rows = rows.take(pa.array(kept, pa.int64()))
    are_numbers = {
        field.name: all(
            table.schema.field(field.name).metadata == NUMBERS
            for table in tables
            if field.name in table.schema.names
        )
        for field in schema
    }
    used = {*taken, *schema.names}
    columns = {}
    for name, column in zip(schema.names, rows.columns, strict=True):
        free = name
        while free in taken or (free != name and free in used):
            free = INPUT + free
        used.add(free)
        columns[free] = _numbers(column) if typed and are_numbers[name] else column
    return columns


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text as numbers, unless they would lose digits or become infinite."""
    try:
        return compute.cast(column, pa.int64())
    except pa.ArrowInvalid:
        pass
    if not compute.any(compute.match_substring_regex(column, "[.eE]")).as_py():
        return column
    try:
        floats = compute.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return column
    return floats if compute.all(compute.is_finite(floats)).as_py() else column


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
