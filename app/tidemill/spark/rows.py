"""Convert Arrow rows to messages, and outcomes to rows for the sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pyarrow as pa

from tidemill.inference.headers import error_headers, omitted_header, source_headers
from tidemill.inference.message import Failure, Header, Message, Outcome, Prediction
from tidemill.kafka.record_size import record_size_upper_bound
from tidemill.spark.schemas import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.kafka.record_size import TopicLimits

Row: TypeAlias = dict[str, Any]


class OutputTopic(NamedTuple):
    """The topic of results or of dead letters, and what it accepts."""

    name: str
    limits: TopicLimits


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
    """Return the row of an outcome (`schemas.OUTCOME`).

    A result that its topic refuses becomes a dead letter. A dead letter that its topic refuses
    keeps only the headers that say where the message is, and why it failed.
    """
    added = source_headers(message, outcome)
    if isinstance(outcome, Prediction):
        headers = [*message.headers, *added]
        refusal = results.limits.refusal(message.key, outcome.value, headers)
        if refusal is None:
            return _row(results.name, message.key, outcome.value, headers, outcome)
        outcome = Failure(refusal, outcome.model, outcome.assignment)
    added += error_headers(outcome)
    headers = [*message.headers, *added]
    if dead_letters.limits.refusal(message.key, message.value, headers) is None:
        return _row(dead_letters.name, message.key, message.value, headers, outcome)
    size = record_size_upper_bound(message.key, message.value, message.headers)
    return _row(dead_letters.name, None, None, [*added, omitted_header(size)], outcome)


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
