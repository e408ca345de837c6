"""Read which offsets the partitions of a topic hold."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from tidemill.kafka.connect import connect
from tidemill.kafka.failures import kafka_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


def offsets_at(
    kafka: KafkaSettings, topic: str, partitions: Iterable[int], milliseconds: int
) -> dict[int, int]:
    """Return the offset of each partition's first message that is not older than a time.

    Leave out partitions without such a message.

    Raises:
        KafkaAuthFailed, BrokerUnreachable: As `offset_ranges`.

    """
    with consumer(kafka) as connected:
        times = {TopicPartition(topic, partition): milliseconds for partition in partitions}
        found = connected.offsets_for_times(times)
    return {part.partition: first.offset for part, first in found.items() if first is not None}


def topic_id(kafka: KafkaSettings, topic: str) -> str:
    """Return the id of a topic, which changes if the topic is deleted and created again.

    Raises:
        KafkaAuthFailed, BrokerUnreachable: As `offset_ranges`.

    """
    with kafka_errors(kafka), closing(connect(KafkaAdminClient, kafka)) as admin:
        return "".join(str(each.get("topic_id", "")) for each in admin.describe_topics([topic]))


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
