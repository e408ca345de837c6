"""Convert the columns of a real DataFrame to those of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.errors import ConfigurationError, WrongColumnType
from tidemill.spark.columns import record_columns
from tidemill.spark.schemas import RECORD

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MILLIS = 1_700_000_000_123


class TestAccepted:
    """A column of a compatible type is converted."""

    @pytest.mark.parametrize(
        ("column", "record"),
        [
            ("'k' key", {"key": bytearray(b"k")}),
            ("5L partition", {"partition": 5}),
            (f"{2**40}L partition", {"partition": None}),
            ("5S offset", {"offset": 5}),
            (f"{MILLIS}L timestamp", {"timestamp": MILLIS}),
            ("-1 timestamp", {"timestamp": -1}),
            (f"{2**62}L timestamp", {"timestamp": None}),
            ("timestamp_ntz '2023-11-14 22:13:20.123' timestamp", {"timestamp": MILLIS}),
            ("null key", {"key": None}),
            ("null headers", {"headers": None}),
            ("map('a', '1') headers", {"headers": [("a", b"1")]}),
            ("map('a', binary('1')) headers", {"headers": [("a", b"1")]}),
            ("array(struct('1' value, 'a' Key)) headers", {"headers": [("a", b"1")]}),
            ("array(null, struct('a' key, '1' value)) headers", {"headers": [None, ("a", b"1")]}),
        ],
    )
    def test_value(self, spark: SparkSession, column: str, record: dict[str, object]) -> None:
        """An integer timestamp is in milliseconds, as in Kafka; a number that overflows is null."""
        frame = spark.sql(f"SELECT 'v' value, {column}")
        records = frame.select(*record_columns(frame))
        assert records.schema.simpleString() == RECORD.simpleString()
        (row,) = records.selectExpr(
            "* except (timestamp)", "unix_millis(timestamp) timestamp"
        ).collect()
        actual = row.asDict()
        if actual["headers"]:
            actual["headers"] = [h and (h.key, bytes(h.value)) for h in actual["headers"]]
        empty = dict.fromkeys(RECORD.names)
        assert actual == {**empty, "value": bytearray(b"v"), **record}


class TestRefused:
    """A column of an incompatible type is refused; the error says which types are accepted."""

    @pytest.mark.parametrize(
        "column",
        [
            "1 key",
            "binary('t') topic",
            "'1' partition",
            "1.5D offset",
            "'2024-01-01' timestamp",
            "1700000000.5D timestamp",
            "date '2024-01-01' timestamp",
            "'a=1' headers",
            "map('a', 1) headers",
            "array('a') headers",
            "array(struct('a' name, '1' value)) headers",
        ],
    )
    def test_named(self, spark: SparkSession, column: str) -> None:
        """The driver raises a configuration error that names the column."""
        frame = spark.sql(f"SELECT 'v' value, {column}")
        with pytest.raises(
            WrongColumnType, match=f"'{column.rsplit(maxsplit=1)[-1]}' is .*, not "
        ) as caught:
            record_columns(frame)
        assert isinstance(caught.value, ConfigurationError)

    def test_value(self, spark: SparkSession) -> None:
        """The error names all such columns at once, the value too."""
        with pytest.raises(WrongColumnType, match=r"(?s)'VALUE' is int.*'key' is int"):
            record_columns(spark.sql("SELECT 1 VALUE, 1 key"))
