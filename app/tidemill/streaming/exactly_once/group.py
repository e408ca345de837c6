"""The consumer group that holds the offsets of exactly once, read by no member of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from tidemill.kafka.client_options import LIBRDKAFKA_LOGGER, librdkafka_options
from tidemill.streaming.exactly_once.position import decode

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Self

    from tidemill.settings import KafkaSettings
    from tidemill.streaming.exactly_once.position import Partition, Position

# Seconds that a call waits for a broker that is away; then it fails, and its task is tried again.
PATIENCE = 120.0
BASICS: dict[str, Any] = {
    "error_cb": lambda _: None,  # each call's own error says what went wrong
    # Else a first connection, and a first request to a coordinator, rest for 50 ms and 100 ms. Both
    # grow where the broker stays away.
    "reconnect.backoff.ms": 1,
    "retry.backoff.ms": 10,
    "retry.backoff.max.ms": 200,
}
# What passes when brokers come and go.
COORDINATOR_MOVES = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's id, which differs between two of one name, and its number of partitions."""

    id: str
    partitions: int


# What is not there; no commit names it.
NO_TOPIC = Topic("", 0)


class Group:
    """What the group says of partitions, and what their topics are."""

    def __init__(self, kafka: KafkaSettings, group_id: str) -> None:
        """Connect in the background."""
        self.id = group_id
        self._consumer = Consumer(
            {
                **librdkafka_options(kafka),
                **BASICS,
                "group.id": group_id,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                # Also: an offset in a transaction that is not over yet is waited for.
                "isolation.level": "read_committed",
            },
            logger=LIBRDKAFKA_LOGGER,
        )
        self._admin = AdminClient({**librdkafka_options(kafka), **BASICS}, logger=LIBRDKAFKA_LOGGER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def positions(
        self, partitions: Collection[Partition], timeout: float = PATIENCE
    ) -> dict[Partition, Position]:
        """Return what the group says of those of the partitions that it knows.

        Each is asked for by itself: of many some are always in the midst of a transaction, whose
        end is waited for.

        Raises:
            KafkaException: The broker does not answer in so many seconds, or refuses.

        """
        found = {}
        for at in partitions:
            told = self._committed(TopicPartition(*at), timeout)
            if told.offset >= 0:
                found[at] = decode(told.offset, told.metadata)
        return found

    def _committed(self, at: TopicPartition, timeout: float) -> TopicPartition:
        deadline = time.monotonic() + timeout
        while True:
            try:
                (told,) = self._consumer.committed([at], timeout)
                error = told.error
            except KafkaException as raised:
                error = raised.args[0]
            if error is None:
                return told
            if error.code() not in COORDINATOR_MOVES or time.monotonic() > deadline:
                raise KafkaException(error)
            time.sleep(0.1)

    def settled(self) -> dict[Partition, Position]:
        """Return what the group says of all partitions, without waiting for open transactions.

        A commit may be acknowledged before it becomes visible here.

        Raises:
            KafkaException: The broker does not answer, or refuses.

        """
        asked = [ConsumerGroupTopicPartitions(self.id, None)]
        (answer,) = self._admin.list_consumer_group_offsets(
            asked, require_stable=False, request_timeout=PATIENCE
        ).values()
        return {
            (told.topic, told.partition): decode(told.offset, told.metadata)
            for told in answer.result().topic_partitions
            if told.offset >= 0
        }

    def topics(self, names: Collection[str]) -> dict[str, Topic]:
        """Describe those of the topics that exist.

        Raises:
            KafkaException: The broker does not answer, or refuses.

        """
        asked = TopicCollection(list(names))
        found = {}
        for name, answer in self._admin.describe_topics(asked, request_timeout=PATIENCE).items():
            try:
                said = answer.result()
                found[name] = Topic(str(said.topic_id), len(said.partitions))
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        return found

    def members(self) -> list[str]:
        """Return the client ids of the group's members.

        Raises:
            KafkaException: The broker does not answer, or refuses.

        """
        (answer,) = self._admin.describe_consumer_groups(
            [self.id], request_timeout=PATIENCE
        ).values()
        try:
            return sorted({str(member.client_id) for member in answer.result().members})
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise

    def membership(self) -> Any:  # noqa: ANN401 - of no public type
        """Return what a transaction must say of the group: that no member commits."""
        return self._consumer.consumer_group_metadata()

    def has_record(self, at: Partition, start: int, end: int) -> bool:
        """Tell whether there is a record, of a committed transaction or of none, from start to end.

        Transactions' markers and compaction leave offsets without one.

        Raises:
            KafkaException: The broker does not answer, or refuses.

        """
        self._consumer.assign([TopicPartition(*at, start)])
        try:
            deadline = time.monotonic() + PATIENCE
            while (left := deadline - time.monotonic()) > 0:
                message = self._consumer.poll(left)
                if message is None or (message.error() and message.topic() is None):
                    continue
                error = message.error()
                if error is None:
                    return int(message.offset() or 0) < end
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    return False
                raise KafkaException(error)
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - as above
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()
