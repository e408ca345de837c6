"""Give tables the same columns and types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

JSON = msgspec.json.Encoder(decimal_format="number")


def common_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return a schema with all columns; those whose types have nothing in common become text."""
    fields: dict[str, list[pa.Field]] = {}
    for schema in schemas:
        for field in schema:
            fields.setdefault(field.name, []).append(field.with_metadata(None))
    return pa.schema([pa.field(name, _common_type(found)) for name, found in fields.items()])


def _common_type(fields: Sequence[pa.Field]) -> pa.DataType:
    try:
        merged = pa.unify_schemas(
            [pa.schema([field]) for field in dict.fromkeys(fields)], promote_options="permissive"
        )
    except pa.ArrowException:
        return pa.string()
    return merged.field(0).type


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns of a schema that `common_schema` has found for it.

    Whole numbers beyond 2**53 lose digits in a column that also has fractions.
    """
    columns = [
        _converted(table.column(field.name), field.type)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema)


def _converted(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_string(kind):
        return as_text(column.to_pylist(maps_as_pydicts="lossy"))
    try:
        return column.cast(kind, safe=False)
    except pa.ArrowException:
        return pa.array(column.to_pylist(), kind)


def as_text(values: Iterable[object]) -> pa.Array:
    """Return values as text: text as it is, anything else as JSON."""
    return pa.array(
        [
            value if value is None or isinstance(value, str) else JSON.encode(value).decode()
            for value in values
        ],
        pa.string(),
    )


def without_null(kind: pa.DataType) -> pa.DataType:
    """Replace the type of columns that are always null, which few programs can read."""
    return pa.string() if pa.types.is_null(kind) else with_children(kind, without_null)


def without_nanoseconds(kind: pa.DataType) -> pa.DataType:
    """Replace nanoseconds, which Python's times do not have, by microseconds."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_time64(kind):
        return pa.time64("us")
    return with_children(kind, without_nanoseconds)


def with_children(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a type with the types of its elements or fields changed."""
    if pa.types.is_list(kind):
        return pa.list_(change(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(change(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(change(kind.value_type), kind.list_size)
    if pa.types.is_map(kind):
        return pa.map_(change(kind.key_type), change(kind.item_type))
    if pa.types.is_struct(kind):
        fields = map(kind.field, range(kind.num_fields))
        return pa.struct([field.with_type(change(field.type)) for field in fields])
    return kind
