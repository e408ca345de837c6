"""Convert the columns of any DataFrame to those of a record (`schemas.RECORD`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.functions import lit, map_entries, struct, timestamp_millis, transform, when
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    IntegerType,
    IntegralType,
    MapType,
    NullType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from tidemill.errors import NoValueColumn, WrongColumnType
from tidemill.spark.schemas import HEADERS, RECORD

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Spark counts a timestamp in microseconds; more milliseconds would overflow its 64 bits.
MAX_MILLIS = (2**63 - 1) // 1000
ACCEPTED_TYPES = {
    "key": "binary or string",
    "value": "binary or string",
    "topic": "string",
    "partition": "an integer",
    "offset": "an integer",
    "timestamp": "timestamp, or an integer (milliseconds since 1970)",
    "headers": "map<string,binary>, or array<struct<key:string,value:binary>>",
}


def record_columns(frame: DataFrame) -> list[Column]:
    """Select the columns of a record from a frame; their names are case-insensitive, as in Spark.

    A column that the frame lacks is null, and so is a number that overflows its column.

    Raises:
        NoValueColumn: The frame has no column `value`.
        WrongColumnType: The type of a column cannot be converted to the record's type.

    """
    names = {name.lower(): name for name in frame.columns}
    if "value" not in names:
        raise NoValueColumn(frame.columns)
    if mismatched := mismatched_columns(frame.schema):
        raise WrongColumnType(
            (name, actual, ACCEPTED_TYPES[name.lower()]) for name, actual in mismatched.items()
        )
    types = {field.name: field.dataType for field in frame.schema}
    return [
        (
            _convert(frame[names[field.name]], types[names[field.name]], field.dataType)
            if field.name in names
            else lit(None).cast(field.dataType)
        ).alias(field.name)
        for field in RECORD
    ]


def mismatched_columns(schema: StructType) -> dict[str, str]:
    """Return the columns, with their types, that cannot be converted to the record's type."""
    return {
        field.name: field.dataType.simpleString()
        for field in schema
        if (name := field.name.lower()) in ACCEPTED_TYPES and not _is_accepted(name, field.dataType)
    }


def _is_accepted(name: str, actual: DataType) -> bool:
    if isinstance(actual, NullType):
        return True
    if name == "headers":
        return _are_headers(actual)
    if name == "timestamp":
        return isinstance(actual, TimestampType | TimestampNTZType | IntegralType)
    if name in {"partition", "offset"}:
        return isinstance(actual, IntegralType)
    return isinstance(actual, StringType) or (name != "topic" and isinstance(actual, BinaryType))


def _are_headers(actual: DataType) -> bool:
    if isinstance(actual, MapType):
        pair = {"key": actual.keyType, "value": actual.valueType}
    elif isinstance(actual, ArrayType) and isinstance(actual.elementType, StructType):
        pair = {field.name.lower(): field.dataType for field in actual.elementType}
    else:
        return False
    text = StringType | BinaryType | NullType
    return pair.keys() == {"key", "value"} and all(isinstance(t, text) for t in pair.values())


def _convert(column: Column, actual: DataType, target: DataType) -> Column:
    if actual == target or isinstance(actual, NullType):
        return column.cast(target)
    if isinstance(target, TimestampType) and isinstance(actual, IntegralType):
        millis = column.cast("long")
        # A cast would read the integer as seconds.
        return when(millis.between(-MAX_MILLIS, MAX_MILLIS), timestamp_millis(millis))
    if target == HEADERS:
        pairs = map_entries(column) if isinstance(actual, MapType) else column
        # Match the fields by name; a cast would match them by position.
        by_name = transform(pairs, lambda h: when(h.isNotNull(), struct(h["key"], h["value"])))
        return by_name.cast(target)
    return column.try_cast(target) if isinstance(target, IntegerType) else column.cast(target)
