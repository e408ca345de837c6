"""Read which offsets the partitions of a topic hold."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, TopicPartition

from tidemill.kafka.connect import connect
from tidemill.kafka.failures import kafka_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.settings import KafkaSettings

COMMITTED = "read_committed"


def offset_ranges(
    kafka: KafkaSettings, topic: str, isolation_level: str = COMMITTED
) -> dict[int, range]:
    """Return the offsets of each partition, up to the last one that can be read by now.

    There are none if the topic does not exist.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.

    """
    with consumer(kafka, isolation_level=isolation_level) as connected:
        parts = [TopicPartition(topic, p) for p in connected.partitions_for_topic(topic) or ()]
        begin, end = connected.beginning_offsets(parts), connected.end_offsets(parts)
    return {part.partition: range(begin[part], end[part]) for part in parts}


def in_words(topic: str, span: range | None) -> str:
    """Return in words which offsets a partition holds; None stands for a missing partition."""
    if span is None:
        return f"{topic} has no such partition"
    if not span:
        return "the partition is empty"
    return f"the partition holds offsets {span.start} to {span.stop - 1}"


@contextmanager
def consumer(kafka: KafkaSettings, **options: Any) -> Iterator[KafkaConsumer]:  # noqa: ANN401
    """Yield a consumer that commits nothing by itself, and joins no group.

    Raises:
        KafkaAuthFailed, BrokerUnreachable: As `offset_ranges`; also for calls of the consumer.

    """
    with (
        kafka_errors(kafka),
        closing(
            connect(
                KafkaConsumer,
                kafka,
                enable_auto_commit=False,
                allow_auto_create_topics=False,
                **{"isolation_level": COMMITTED} | options,
            )
        ) as connected,
    ):
        yield connected
