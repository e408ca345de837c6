"""Read a span of a topic: one record at a time, and with an end.

With librdkafka: it knows every compression, and a record that is broken for it is broken alone.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from tidemill.errors import KafkaAuthFailed
from tidemill.inference.message import Message
from tidemill.kafka.client_options import LIBRDKAFKA_LOGGER, librdkafka_options
from tidemill.kafka.connect import unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Message as Record

    from tidemill.settings import KafkaSettings

# Seconds without a record or an end, after which the broker is taken for away.
PATIENCE = 30
REFUSALS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - its public name
}


def records(kafka: KafkaSettings, topic: str, spans: Mapping[int, range]) -> Iterator[Message]:
    """Yield what is committed within the spans, each partition in its order.

    Offsets without a record (compacted, aborted, a transaction's marker) are passed over, at the
    end of a span too. A header's name ends at a NUL character: librdkafka knows no other end.

    Raises:
        KafkaAuthFailed: The broker refuses to let the topic be read.
        BrokerUnreachable: It does not answer.

    """
    ends = {partition: span.stop for partition, span in spans.items() if span}
    options = {
        **librdkafka_options(kafka),
        "group.id": "tidemill-dlq",  # must be there; nothing is committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "error_cb": lambda _: None,  # of what goes on without harm; `PATIENCE` sees to the rest
    }
    with closing(Consumer(options, logger=LIBRDKAFKA_LOGGER)) as consumer:
        consumer.assign([TopicPartition(topic, p, spans[p].start) for p in ends])
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
    for _ in range(PATIENCE):
        record = consumer.poll(1)
        if record is None:
            continue
        error = record.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            return record
        if error.code() in REFUSALS:
            raise KafkaAuthFailed(kafka.bootstrap_servers, error.str())
        raise unreachable(kafka, error.str())
    raise unreachable(kafka, f"nothing came within {PATIENCE} s")


def _message(record: Record) -> Message:
    try:
        headers: Any = record.headers() or ()
    except SystemError:  # a name is not UTF-8, so that the job did not write it
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
