from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from arrow_batches import ARROW_RECORD, record_batch

from tidemill.inference.message import Message
from tidemill.spark.rows import latency, read_messages
from tidemill.spark.schemas import RECORD


class TestReadMessages:
    """Rows become messages, exactly as in Kafka."""

    def test_whole(self) -> None:
        """Every column is read; the timestamp is in milliseconds, as in Kafka."""
        (message,) = read_messages(
            record_batch(
                {
                    "key": b"k\xff",
                    "value": b"v\x00",
                    "topic": "t",
                    "partition": 3,
                    "offset": 2**40,
                    "timestamp": datetime(2026, 1, 5, 10, 0, 0, 123_000, tzinfo=UTC),
                    "headers": [
                        {"key": "a", "value": b"1"},
                        {"key": "a", "value": None},
                        {"key": "", "value": b""},
                    ],
                }
            )
        )
        assert message == Message(
            value=b"v\x00",
            key=b"k\xff",
            headers=(("a", b"1"), ("a", None), ("", b"")),
            topic="t",
            partition=3,
            offset=2**40,
            timestamp=1767607200123,
        )

    def test_nothing_known(self) -> None:
        """A null column is None, and null headers are an empty tuple."""
        assert list(read_messages(record_batch({}))) == [Message(None)]

    @pytest.mark.parametrize("milliseconds", [0, -1, 1, 253402300799999])
    def test_times(self, milliseconds: int) -> None:
        """Any timestamp of Kafka survives, even one before 1970."""
        rows = record_batch({"value": b""})
        times = pa.array([milliseconds * 1000], pa.int64()).cast(
            ARROW_RECORD.field("timestamp").type
        )
        columns = [times if n == "timestamp" else rows.column(n) for n in RECORD.names]
        (message,) = read_messages(pa.RecordBatch.from_arrays(columns, schema=ARROW_RECORD))
        assert message.timestamp == milliseconds

    def test_null_name(self) -> None:
        """A header without a name, which Kafka does not allow, gets an empty one."""
        (message,) = read_messages(record_batch({"headers": [{"key": None, "value": b"1"}]}))
        assert message.headers == (("", b"1"),)

    def test_order(self) -> None:
        """Rows keep their order."""
        rows = [{"value": str(number).encode()} for number in range(100)]
        assert [m.value for m in read_messages(record_batch(*rows))] == [
            row["value"] for row in rows
        ]

    def test_empty(self) -> None:
        """An empty batch has no messages."""
        assert list(read_messages(record_batch())) == []


class TestLatency:
    """The latency of a message is the time since its timestamp."""

    def test_no_timestamp(self) -> None:
        """A record without a timestamp, which Kafka encodes as -1, has no latency."""
        assert latency(Message(b"", timestamp=-1), 1.0) is None
