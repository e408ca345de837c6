"""Convert Arrow rows to messages, and outcomes to rows for the sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from tidemill.inference.codec import encode_headers, encode_truncated_headers
from tidemill.inference.message import Failure, Header, Message, Outcome, Prediction
from tidemill.spark.schemas import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.kafka.record_size import TopicLimits

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


def result_row(
    topic: str, message: Message, prediction: Prediction, limits: TopicLimits
) -> Row | Failure:
    """Return a result (`schemas.OUTCOME`), or a failure if it exceeds its topic's limits."""
    headers = encode_headers(message, prediction)
    if refusal := limits.refusal(message.key, prediction.value, headers):
        return Failure(refusal, prediction.model)
    return _row(topic, message.key, prediction.value, headers, prediction)


def dead_letter_row(topic: str, message: Message, failure: Failure, limits: TopicLimits) -> Row:
    """Return a dead letter (`schemas.OUTCOME`): the whole message, if it fits its topic's limits.

    Otherwise only headers remain: where the message is, and why it failed.
    """
    headers = encode_headers(message, failure)
    if limits.fit(message.key, message.value, headers):
        return _row(topic, message.key, message.value, headers, failure)
    return _row(topic, None, None, encode_truncated_headers(message, failure), failure)


def latency(message: Message, now: float) -> float | None:
    """Return the seconds since a message's timestamp, 0 if the clocks disagree.

    Return None if the message has no timestamp, which Kafka encodes as -1.
    """
    if message.timestamp is None or message.timestamp < 0:
        return None
    return max(0.0, now - message.timestamp / 1000)


def _row(
    topic: str, key: bytes | None, value: bytes | None, headers: list[Header], outcome: Outcome
) -> Row:
    return {
        "topic": topic,
        "key": key,
        "value": value,
        "headers": [{"key": name, "value": content} for name, content in headers],
        "model": outcome.model,
        "error": outcome.error_class if isinstance(outcome, Failure) else None,
    }
