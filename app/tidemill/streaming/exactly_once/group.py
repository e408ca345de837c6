"""The consumer group that holds the exactly-once offsets, read without joining it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka import TopicPartition as KafkaTopicPartition

from tidemill.kafka.clients import create_admin, create_consumer
from tidemill.streaming.exactly_once.position import decode

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Self

    from tidemill.settings import KafkaSettings
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition

# If a broker is unreachable for this long, a call fails and Spark retries its task.
CALL_TIMEOUT_S = 120.0
CLIENT_DEFAULTS: dict[str, Any] = {
    # By default the first connection waits 50 ms, and the first request to a coordinator 100 ms.
    # Both pauses grow while a broker is unreachable.
    "reconnect.backoff.ms": 1,
    "retry.backoff.ms": 10,
    "retry.backoff.max.ms": 200,
}
# Errors that occur for a short time when brokers start or stop.
COORDINATOR_ERRORS = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic's id, which changes if the topic is recreated, and its number of partitions."""

    id: str
    partitions: int


# A topic that does not exist. No commit carries its id.
MISSING_TOPIC = TopicDescription("", 0)


class Group:
    """Read a group's offsets and members, and the topics that they refer to."""

    def __init__(self, kafka: KafkaSettings, group_id: str) -> None:
        """Connect in the background."""
        self.id = group_id
        # With `read_committed`, reading an offset also waits for its open transaction to end.
        options = {**CLIENT_DEFAULTS, "fetch.wait.max.ms": 50}
        self._consumer = create_consumer(kafka, group_id, "read_committed", options)
        self._admin = create_admin(kafka, CLIENT_DEFAULTS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stable_committed(
        self, partitions: Collection[TopicPartition], timeout: float = CALL_TIMEOUT_S
    ) -> dict[TopicPartition, CommittedOffset]:
        """Return the committed offsets of partitions, and wait for open transactions to end.

        Ask for one partition at a time: of many, some would always be in a transaction.

        Raises:
            KafkaException: The broker does not answer within `timeout` seconds, or refuses.

        """
        committed = {}
        for partition in partitions:
            answer = self._read_committed(KafkaTopicPartition(*partition), timeout)
            if answer.offset >= 0:
                committed[partition] = decode(answer.offset, answer.metadata)
        return committed

    def _read_committed(
        self, partition: KafkaTopicPartition, timeout: float
    ) -> KafkaTopicPartition:
        deadline = time.monotonic() + timeout
        while True:
            try:
                (answer,) = self._consumer.committed([partition], timeout)
                error = answer.error
            except KafkaException as raised:
                error = raised.args[0]
            if error is None:
                return answer
            if error.code() not in COORDINATOR_ERRORS or time.monotonic() > deadline:
                raise KafkaException(error)
            time.sleep(0.1)

    def last_committed(self) -> dict[TopicPartition, CommittedOffset]:
        """Return the offsets of all partitions, without waiting for open transactions.

        A commit may be acknowledged before it becomes visible here.

        Raises:
            KafkaException: The broker does not answer, or refuses the request.

        """
        request = [ConsumerGroupTopicPartitions(self.id, None)]
        (future,) = self._admin.list_consumer_group_offsets(
            request, require_stable=False, request_timeout=CALL_TIMEOUT_S
        ).values()
        return {
            (answer.topic, answer.partition): decode(answer.offset, answer.metadata)
            for answer in future.result().topic_partitions
            if answer.offset >= 0
        }

    def describe_topics(self, names: Collection[str]) -> dict[str, TopicDescription]:
        """Describe those of the topics that exist.

        Raises:
            KafkaException: The broker does not answer, or refuses the request.

        """
        futures = self._admin.describe_topics(
            TopicCollection(list(names)), request_timeout=CALL_TIMEOUT_S
        )
        topics = {}
        for name, future in futures.items():
            try:
                topic = future.result()
                topics[name] = TopicDescription(str(topic.topic_id), len(topic.partitions))
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        return topics

    def members(self) -> list[str]:
        """Return the client ids of the group's members.

        Raises:
            KafkaException: The broker does not answer, or refuses the request.

        """
        (future,) = self._admin.describe_consumer_groups(
            [self.id], request_timeout=CALL_TIMEOUT_S
        ).values()
        try:
            return sorted({str(member.client_id) for member in future.result().members})
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise

    def group_metadata(self) -> Any:  # noqa: ANN401 - the type is not public
        """Return the group metadata for a transaction: its commits come from no member."""
        return self._consumer.consumer_group_metadata()

    def has_record(self, partition: TopicPartition, start: int, end: int) -> bool:
        """Return whether a readable record exists from offset `start` up to, excluding, `end`.

        Transaction markers and compaction leave offsets without a record.

        Raises:
            KafkaException: The broker does not answer, or refuses the request.

        """
        self._consumer.assign([KafkaTopicPartition(*partition, start)])
        try:
            deadline = time.monotonic() + CALL_TIMEOUT_S
            while (remaining := deadline - time.monotonic()) > 0:
                message = self._consumer.poll(remaining)
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
