"""Write and read the headers that say which file, and which line or row, a record came from.

They are `tidemill.source.file`, and `tidemill.source.line` or `tidemill.source.row`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pyspark.sql.functions import (
    array,
    col,
    element_at,
    lit,
    regexp_replace,
    replace,
    struct,
    url_decode,
)
from pyspark.sql.functions import filter as keep

if TYPE_CHECKING:
    from pyspark.sql import Column

    from tidemill.batch.source import Source

Unit: TypeAlias = Literal["line", "row"]
PREFIX = "tidemill.source."


def origin_headers(source: Source, file: Column, unit: Unit, number: Column) -> Column:
    """Return the headers for a record, from the URL of its file and its number in that file."""
    url = replace(file, lit("+"), lit("%2B"))  # the URL decoder would turn "+" into a blank
    name = regexp_replace(url_decode(url), "^file:(//)?(?=/)", "")
    if source.local and not source.local.is_dir():
        name = lit(str(source.local))  # Spark may have read it through a link
    return array(
        struct(lit(f"{PREFIX}file").alias("key"), name.cast("binary").alias("value")),
        struct(
            lit(PREFIX + unit).alias("key"), number.cast("string").cast("binary").alias("value")
        ),
    )


def origin(unit: Unit) -> Column:
    """Return the file and the number, as a struct, that the headers of an outcome name."""

    def last(name: str) -> Column:  # a record may have had such headers before
        named = keep(col("headers"), lambda h: h["key"] == PREFIX + name)
        return element_at(named, -1)["value"].cast("string")

    return struct(last("file").alias("file"), last(unit).cast("long").alias(unit))
