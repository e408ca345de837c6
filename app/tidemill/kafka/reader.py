"""Read ranges of offsets of a topic, record by record.

It uses librdkafka, which supports every compression, and fails on one broken record at a time.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import KafkaError, TopicPartition

from tidemill.errors import KafkaAuthFailed
from tidemill.inference.message import Message
from tidemill.kafka.clients import create_consumer
from tidemill.kafka.failures import unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from confluent_kafka import Consumer
    from confluent_kafka import Message as Record

    from tidemill.settings import KafkaSettings

log = structlog.get_logger(__name__)

GROUP_ID = "tidemill-dlq"
# Without a record or the end of a partition for so long, the broker counts as unreachable.
READ_TIMEOUT_S = 30
REFUSALS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - its public name
}
OUT_OF_RANGE = {
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - its public name
}
# A range is often short, and what is fetched beyond it is thrown away.
OPTIONS = {
    "auto.offset.reset": "error",
    "queued.min.messages": 5000,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.wait.max.ms": 50,
}


def records(
    kafka: KafkaSettings,
    topic: str,
    ranges: Mapping[int, range],
    isolation_level: str = "read_committed",
    *,
    on_missing: Callable[[int, range], None] | None = None,
) -> Iterator[Message]:
    """Yield the committed records within the ranges, each partition in order.

    With the isolation level `read_uncommitted`, yield all records.

    Skip offsets without a record (compacted, aborted, a transaction marker). A header's name ends
    at a NUL character, because librdkafka uses C strings. `on_missing` gets the partition and the
    offsets that the topic no longer has; without it, the log says so.

    Raises:
        KafkaAuthFailed: The broker refuses to let the job read the topic.
        BrokerUnreachable: The broker does not answer.

    """
    missing = on_missing or (lambda partition, lost: _warn(topic, partition, lost))
    ends = {partition: offsets.stop for partition, offsets in ranges.items() if offsets}
    due = {partition: ranges[partition].start for partition in ends}
    with closing(create_consumer(kafka, GROUP_ID, isolation_level, OPTIONS)) as consumer:
        consumer.assign([TopicPartition(topic, p, start) for p, start in due.items()])
        while ends:
            record = _next(consumer, kafka)
            partition, offset = record.partition() or 0, record.offset() or 0
            if partition not in ends:
                continue
            error, end = record.error(), ends[partition]
            if error is None and offset < end:
                yield to_message(record)
                due[partition] = offset + 1
            elif error is not None and error.code() in OUT_OF_RANGE:
                first, high = _watermarks(consumer, kafka, topic, partition)
                offset = max(first, due[partition]) if due[partition] <= high else end
                if lost := range(due[partition], min(offset, end)):
                    missing(partition, lost)
                due[partition] = offset
                # The client reads on only once it gets new offsets; `due` prevents repeats.
                consumer.assign([TopicPartition(topic, p, due[p]) for p in ends])
            # A broker that has just become the leader may report an end too low for a moment.
            last = end - 1 if error is None else end
            if offset >= last:
                del ends[partition]
                consumer.pause([TopicPartition(topic, partition)])


def _warn(topic: str, partition: int, lost: range) -> None:
    log.warning(
        "the topic no longer has some of the messages",
        topic=topic,
        partition=partition,
        first=lost.start,
        last=lost.stop - 1,
    )


def _watermarks(
    consumer: Consumer, kafka: KafkaSettings, topic: str, partition: int
) -> tuple[int, int]:
    """Return a partition's first offset and the one after its last."""
    found = consumer.get_watermark_offsets(TopicPartition(topic, partition), READ_TIMEOUT_S)
    if found is None:
        raise unreachable(kafka, f"no offsets within {READ_TIMEOUT_S} s")
    return found


def _next(consumer: Consumer, kafka: KafkaSettings) -> Record:
    """Wait for a record, the end of a partition, or an offset that no longer exists."""
    for _ in range(READ_TIMEOUT_S):
        record = consumer.poll(1)
        if record is None:
            continue
        error = record.error()
        if error is None or error.code() in {KafkaError._PARTITION_EOF, *OUT_OF_RANGE}:  # noqa: SLF001
            return record
        if error.code() in REFUSALS:
            raise KafkaAuthFailed(kafka.bootstrap_servers, error.str())
        raise unreachable(kafka, error.str())
    raise unreachable(kafka, f"no record within {READ_TIMEOUT_S} s")


def to_message(record: Record) -> Message:
    """Return a record as a message."""
    try:
        headers: Any = record.headers() or ()
    except SystemError:  # a name is not UTF-8, so the job did not write it
        headers = ()
    return Message(
        value=record.value(),
        key=record.key(),
        headers=tuple(headers),
        topic=record.topic(),
        partition=record.partition(),
        offset=record.offset(),
        timestamp=record.timestamp()[1],
    )
