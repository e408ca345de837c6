"""Take the columns of a record (`schemas.RECORD`) from any DataFrame, whatever types they have."""

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

# Beyond it a timestamp in milliseconds does not fit into Spark's, which counts microseconds.
MOST_MILLIS = (2**63 - 1) // 1000
NEEDED = {
    "key": "binary or string",
    "value": "binary or string",
    "topic": "string",
    "partition": "an integer",
    "offset": "an integer",
    "timestamp": "timestamp, or an integer (milliseconds since 1970)",
    "headers": "map<string,binary>, or array<struct<key:string,value:binary>>",
}


def record_columns(frame: DataFrame) -> list[Column]:
    """Return the columns of a record; a name may be in any case, as elsewhere in Spark.

    A column that the frame lacks is null. So is a number that its column cannot hold.

    Raises:
        NoValueColumn: There is no column `value`.
        WrongColumnType: A column has a type that says nothing of this kind.

    """
    names = {name.lower(): name for name in frame.columns}
    if "value" not in names:
        raise NoValueColumn(frame.columns)
    wrong = misfits(frame.schema)
    if wrong:
        raise WrongColumnType((name, found, NEEDED[name.lower()]) for name, found in wrong.items())
    types = {field.name: field.dataType for field in frame.schema}
    return [
        (
            _converted(frame[names[field.name]], types[names[field.name]], field.dataType)
            if field.name in names
            else lit(None).cast(field.dataType)
        ).alias(field.name)
        for field in RECORD
    ]


def misfits(schema: StructType) -> dict[str, str]:
    """Return the names and types of columns whose name is a record's and whose type is not."""
    return {
        field.name: field.dataType.simpleString()
        for field in schema
        if (name := field.name.lower()) in NEEDED and not _fits(name, field.dataType)
    }


def _fits(name: str, kind: DataType) -> bool:
    if isinstance(kind, NullType):
        return True
    if name == "headers":
        return _are_headers(kind)
    if name == "timestamp":
        return isinstance(kind, TimestampType | TimestampNTZType | IntegralType)
    if name in {"partition", "offset"}:
        return isinstance(kind, IntegralType)
    return isinstance(kind, StringType) or (name != "topic" and isinstance(kind, BinaryType))


def _are_headers(kind: DataType) -> bool:
    if isinstance(kind, MapType):
        pair = {"key": kind.keyType, "value": kind.valueType}
    elif isinstance(kind, ArrayType) and isinstance(kind.elementType, StructType):
        pair = {field.name.lower(): field.dataType for field in kind.elementType}
    else:
        return False
    text = StringType | BinaryType | NullType
    return pair.keys() == {"key", "value"} and all(isinstance(t, text) for t in pair.values())


def _converted(column: Column, kind: DataType, wanted: DataType) -> Column:
    if kind == wanted or isinstance(kind, NullType):
        return column.cast(wanted)
    if isinstance(wanted, TimestampType) and isinstance(kind, IntegralType):
        millis = column.cast("long")
        # A cast would take them for seconds.
        return when(millis.between(-MOST_MILLIS, MOST_MILLIS), timestamp_millis(millis))
    if wanted == HEADERS:
        pairs = map_entries(column) if isinstance(kind, MapType) else column
        # By name: a cast would go by the order of the fields.
        by_name = transform(pairs, lambda h: when(h.isNotNull(), struct(h["key"], h["value"])))
        return by_name.cast(wanted)
    return column.try_cast(wanted) if isinstance(wanted, IntegerType) else column.cast(wanted)
