"""Read a topic and what arrives, from positions that are kept elsewhere.

All partitions are assigned without joining a group, so a start waits for nobody. What is committed
to the group only shows the lag.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tidemill.errors import KafkaAuthFailed, NoInputTopic, OffsetsBeyondEnd
from tidemill.kafka.clients import create_consumer
from tidemill.kafka.failures import unreachable
from tidemill.kafka.reader import REFUSALS, to_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidemill.inference.message import Message
    from tidemill.settings import KafkaSettings

log = structlog.get_logger(__name__)

REQUEST_TIMEOUT_S = 30.0
# How often new partitions are looked for.
REFRESH_S = 30.0
# A partition without its position is an event below, not a silent jump.
OPTIONS = {"auto.offset.reset": "error", "allow.auto.create.topics": False}
PARTITION_EOF, OUT_OF_RANGE = KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 - their public names


class FollowedTopic:
    """Reads the committed records of all partitions."""

    def __init__(
        self, kafka: KafkaSettings, topic: str, group: str, position: Callable[[int], int]
    ) -> None:
        """Take what returns the offset to read first in a partition."""
        self._kafka = kafka
        self._topic = topic
        self._position = position
        self._assigned: set[int] = set()
        self._ended: set[int] = set()
        self._refreshed = float("-inf")
        self._consumer = create_consumer(kafka, group, "read_committed", OPTIONS)

    @property
    def is_at_end(self) -> bool:
        """Whether all records of all partitions have been returned."""
        return bool(self._assigned) and self._assigned == self._ended

    def read(self, count: int, seconds: float) -> dict[int, list[Message]]:
        """Return the records that arrive within some seconds by partition, each in order.

        Raises:
            NoInputTopic: There is no such topic, or not any more.
            OffsetsBeyondEnd: A partition ends before its position.
            KafkaAuthFailed, BrokerUnreachable: The broker refuses, or does not answer at the start.

        """
        if time.monotonic() - self._refreshed >= REFRESH_S:
            self._refresh()
        arrived: dict[int, list[Message]] = {}
        for record in self._consumer.consume(count, seconds):
            partition = record.partition() or 0
            error = record.error()
            if error is None:
                self._ended.discard(partition)
                arrived.setdefault(partition, []).append(to_message(record))
            elif error.code() == PARTITION_EOF:
                self._ended.add(partition)
            elif error.code() == OUT_OF_RANGE:
                self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
                self._start(partition)
            elif error.code() in REFUSALS:
                raise KafkaAuthFailed(self._kafka.bootstrap_servers, error.str())
            else:  # librdkafka tries again
                log.warning("the broker reports an error", topic=self._topic, error=error.str())
        return arrived

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Show in the group which offset of each partition comes next."""
        if offsets:
            listed = [TopicPartition(self._topic, p, offset) for p, offset in offsets.items()]
            self._consumer.commit(offsets=listed, asynchronous=True)

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _refresh(self) -> None:
        """Begin to read partitions that are new."""
        try:
            metadata = self._consumer.list_topics(self._topic, REQUEST_TIMEOUT_S)
        except KafkaException as error:
            if self._assigned:  # the records wait as long as the broker is away
                return
            raise unreachable(self._kafka, _text(error)) from None
        topic = metadata.topics[self._topic]
        if topic.error is not None and topic.error.code() in REFUSALS:
            raise KafkaAuthFailed(self._kafka.bootstrap_servers, topic.error.str())
        if not topic.partitions:
            raise NoInputTopic(self._topic)
        for partition in sorted(topic.partitions.keys() - self._assigned):
            self._start(partition)
        self._refreshed = time.monotonic()

    def _start(self, partition: int) -> None:
        """Read a partition from its position on."""
        name = f"{self._topic}/{partition}"
        place = TopicPartition(self._topic, partition)
        try:
            first, end = self._consumer.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise unreachable(self._kafka, _text(error)) from None
        offset = self._position(partition)
        if offset > end:
            raise OffsetsBeyondEnd(name, offset, end)
        if 0 < offset < first:
            log.warning(
                "messages were dropped before they were read", partition=name, count=first - offset
            )
        place.offset = max(offset, first)
        self._consumer.incremental_assign([place])
        self._assigned.add(partition)
        self._ended.discard(partition)


def _text(error: KafkaException) -> str:
    cause: Any = error.args[0]
    return str(cause.str())
