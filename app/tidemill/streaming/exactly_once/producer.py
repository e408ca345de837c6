"""Write outcomes and the group's offset in one Kafka transaction (KIP-98)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition

from tidemill.errors import TidemillError, TransactionFailed
from tidemill.kafka.clients import create_producer
from tidemill.streaming.exactly_once.group import CALL_TIMEOUT_S, CLIENT_DEFAULTS, MISSING_TOPIC
from tidemill.streaming.exactly_once.hang import exit_if_hung
from tidemill.streaming.exactly_once.position import CommittedOffset, encode, resume, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.settings import KafkaSettings
    from tidemill.streaming.exactly_once.group import Group
    from tidemill.streaming.exactly_once.position import RunEpoch, TopicPartition

Row: TypeAlias = dict[str, Any]

# The broker aborts the open transaction of a dead worker after this time, which unblocks readers.
TRANSACTION_TIMEOUT_S = 60
VERIFY_TIMEOUT_S = 20.0
# Topics limit the size of a record batch, and librdkafka does not split one.
# `record_size.batch_bytes` lowers this value to what each topic accepts.
BATCH_BYTES = 1_000_000

TRANSACTION_HINT = (
    "If every transaction fails, check that there are as many brokers as "
    "transaction.state.log.replication.factor, and that the job may write and describe "
    "transactional ids that begin with {}/."
)


class KafkaTransactionalWriter:
    """A partition's transactional producer.

    `committed` is the group's offset when the writer took over the partition, if it had one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        group: Group,
        partition: TopicPartition,
        run: RunEpoch,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        """Fence every earlier owner, abort its open transaction, then read the group's offset.

        Raises:
            TransactionFailed: The broker does not answer, or refuses the request.

        """
        self._partition = partition
        self._group = group
        topic = partition[0]
        options = {
            **CLIENT_DEFAULTS,
            "transactional.id": f"{group.id}/{topic}/{partition[1]}",
            "transaction.timeout.ms": 1000 * TRANSACTION_TIMEOUT_S,
            "partitioner": "murmur2_random",  # Java's default: a key stays in its partition
            "batch.size": batch_bytes,
        }
        try:
            self._producer = create_producer(kafka, options)
            # Connect first: otherwise the producer waits 500 ms before it looks for its
            # coordinator. The first call may use the bootstrap connection, which does not count.
            for _ in range(2):
                self._producer.list_topics(topic, timeout=CALL_TIMEOUT_S)
            self._producer.init_transactions(CALL_TIMEOUT_S)
            self.topic_id = group.describe_topics([topic]).get(topic, MISSING_TOPIC).id
            self.committed = group.stable_committed([partition]).get(partition)
        except KafkaException as error:
            advice = TRANSACTION_HINT.format(group.id)
            raise TransactionFailed(partition, error.args[0], advice) from error
        self._run = run
        self._expected = self.committed

    def commit(self, rows: Sequence[Row], next_offset: int) -> None:
        """Write outcomes (`schemas.WRITTEN`) and the next offset to process, all or nothing.

        Kafka does not compare a new offset with the old one. So read the offset after the outcomes
        are sent, just before the new offset is, and abort if it is not the expected one. This
        leaves a window of one round trip: an offset that another program sets in it is overwritten.
        An offset set later stays, even if it is set before the transaction ends.

        Raises:
            TransactionFailed: It may have been committed; or a later owner has fenced this one.
            GroupOffsetsChanged, GroupOffsetLost, Superseded: The offset was changed.

        """
        offset = KafkaTopicPartition(
            *self._partition, next_offset, metadata=encode(self._run, self.topic_id)
        )
        try:
            self._commit(rows, offset)
        except KafkaException as error:
            raise TransactionFailed(self._partition, error.args[0]) from error
        self._expected = CommittedOffset(next_offset, self._run, self.topic_id)

    def close(self) -> None:
        """Discard what is not committed, and close the connections."""
        self._producer.purge()
        # The producer's own close would wait for an unreachable broker.
        del self._producer

    @exit_if_hung(TRANSACTION_TIMEOUT_S)
    def _commit(self, rows: Sequence[Row], offset: KafkaTopicPartition) -> None:
        self._producer.begin_transaction()
        for row in rows:
            self._send(row)
        # Without a flush, messages are still in flight and the offsets wait 100 ms for them. If
        # a message is undelivered or refused by then, the next call fails.
        self._producer.flush(TRANSACTION_TIMEOUT_S)
        try:
            self._verify()
        except TidemillError:
            with suppress(KafkaException):  # without an abort, readers wait for the timeout
                self._producer.abort_transaction(VERIFY_TIMEOUT_S)
            raise
        metadata = self._group.group_metadata()
        self._producer.send_offsets_to_transaction([offset], metadata, TRANSACTION_TIMEOUT_S)
        self._producer.commit_transaction(TRANSACTION_TIMEOUT_S)

    def _verify(self) -> None:
        """Check that the group's offset is the one that this writer read or committed last."""
        partition = self._partition
        committed = self._group.stable_committed([partition], VERIFY_TIMEOUT_S).get(partition)
        if committed is None and self._expected:  # Kafka deletes offsets together with their topic
            topic = partition[0]
            topic_id = self._group.describe_topics([topic]).get(topic, MISSING_TOPIC).id
            resume(partition, None, self._run, topic_id, self.topic_id)
        verify(partition, committed, self._expected, self._run)

    def _send(self, row: Row) -> None:
        headers = [(header["key"], header["value"]) for header in row["headers"]]
        while True:
            try:
                # Pass no callback: if the producer is fenced, a callback turns the error into
                # a SystemError.
                self._producer.produce(
                    row["topic"], key=row["key"], value=row["value"], headers=headers
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return
