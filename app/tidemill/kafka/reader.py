"""Read ranges of offsets of a topic, record by record.

It uses librdkafka, which supports every compression, and fails on one broken record at a time.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, TopicPartition

from tidemill.errors import KafkaAuthFailed
from tidemill.inference.message import Message
from tidemill.kafka.clients import create_consumer
from tidemill.kafka.failures import unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Consumer
    from confluent_kafka import Message as Record

    from tidemill.settings import KafkaSettings

GROUP_ID = "tidemill-dlq"
# Without a record or the end of a partition for so long, the broker counts as unreachable.
READ_TIMEOUT_S = 30
REFUSALS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - its public name
}


def records(
    kafka: KafkaSettings,
    topic: str,
    ranges: Mapping[int, range],
    isolation_level: str = "read_committed",
) -> Iterator[Message]:
    """Yield the committed records within the ranges, each partition in order.

    With the isolation level `read_uncommitted`, yield all records.

    Skip offsets without a record (compacted, aborted, a transaction marker). A header's name ends
    at a NUL character, because librdkafka uses C strings.

    Raises:
        KafkaAuthFailed: The broker refuses to let the job read the topic.
        BrokerUnreachable: The broker does not answer.

    """
    ends = {partition: offsets.stop for partition, offsets in ranges.items() if offsets}
    with closing(create_consumer(kafka, GROUP_ID, isolation_level, {})) as consumer:
        consumer.assign([TopicPartition(topic, p, ranges[p].start) for p in ends])
        while ends:
            record = _next(consumer, kafka)
            partition, offset = record.partition() or 0, record.offset() or 0
            end = ends.get(partition, 0)
            if record.error() is None and offset < end:
                yield _message(record)
            if partition in ends and (record.error() is not None or offset >= end - 1):
                del ends[partition]
                consumer.pause([TopicPartition(topic, partition)])


def _next(consumer: Consumer, kafka: KafkaSettings) -> Record:
    """Wait for a record, or the end of a partition."""
    for _ in range(READ_TIMEOUT_S):
        record = consumer.poll(1)
        if record is None:
            continue
        error = record.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            return record
        if error.code() in REFUSALS:
            raise KafkaAuthFailed(kafka.bootstrap_servers, error.str())
        raise unreachable(kafka, error.str())
    raise unreachable(kafka, f"no record within {READ_TIMEOUT_S} s")


def _message(record: Record) -> Message:
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
