"""Convert Arrow rows to messages, and outcomes to rows for the sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from tidemill.inference.message import Failure, Message, Outcome
from tidemill.kafka.outcome_record import outcome_record
from tidemill.spark.schemas import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.kafka.record_size import OutputTopic

Row: TypeAlias = dict[str, Any]


def read_messages(batch: pa.RecordBatch) -> Iterator[Message]:
    """Yield the records of an Arrow batch (`schemas.RECORD`) as messages."""
    columns = {name: batch.column(name) for name in RECORD.names}
    # Spark counts microseconds, Kafka milliseconds.
    columns["timestamp"] = columns["timestamp"].cast(pa.int64())
    for key, value, topic, partition, offset, timestamp, headers in zip(
        *(columns[name].to_pylist() for name in RECORD.names), strict=True
    ):
        yield Message(
            value=value,
            key=key,
            headers=tuple((h["key"] or "", h["value"]) for h in headers or () if h is not None),
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp=None if timestamp is None else timestamp // 1000,
        )


def outcome_row(
    message: Message, outcome: Outcome, results: OutputTopic, dead_letters: OutputTopic
) -> Row:
    """Return the row (`schemas.OUTCOME`) of the record that an outcome's topic accepts."""
    record = outcome_record(message, outcome, results.limits, dead_letters.limits)
    failure = record.outcome if isinstance(record.outcome, Failure) else None
    return {
        "topic": dead_letters.name if failure else results.name,
        "key": record.key,
        "value": record.value,
        "headers": [{"key": name, "value": content} for name, content in record.headers],
        "model": record.outcome.model,
        "error": failure.error_class if failure else None,
    }


def latency(message: Message, now: float) -> float | None:
    """Return the seconds since a message's timestamp, 0 if the clocks disagree.

    Return None if the message has no timestamp, which Kafka encodes as -1.
    """
    if message.timestamp is None or message.timestamp < 0:
        return None
    return max(0.0, now - message.timestamp / 1000)
