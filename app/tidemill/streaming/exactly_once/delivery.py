"""Kafka's side of exactly once: what a worker sends, in one transaction with the group's offset."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from confluent_kafka import KafkaException, Producer, TopicPartition
from pyspark import TaskContext

from tidemill.errors import TidemillError, TransactionFailed
from tidemill.inference.codec import MAX_UNCOMPRESSED_BYTES
from tidemill.kafka.client_options import LIBRDKAFKA_LOGGER, librdkafka_options
from tidemill.models.isolation import fork
from tidemill.streaming.exactly_once.group import BASICS, NO_TOPIC, PATIENCE, Group
from tidemill.streaming.exactly_once.owner import Owner
from tidemill.streaming.exactly_once.position import Position, encode, resume, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from tidemill.settings import KafkaSettings
    from tidemill.streaming.exactly_once.position import Partition, Run

Row: TypeAlias = dict[str, Any]

# After these, readers see past what a job that is gone for good had begun.
TRANSACTION_S = 60
VERIFY_S = 20.0
# What a call may take beyond its time-out, until it hangs.
GRACE_S = 30.0
# A topic refuses batches of records, and librdkafka does not split one: `sizes.batch_bytes` keeps
# them below what each topic takes.
BATCH_BYTES = 1_000_000


HINT = (
    "; where none goes through, check that there are as many brokers as "
    "transaction.state.log.replication.factor says, and that the job may write and describe "
    "transactional ids that begin with {}/"
)


@contextmanager
def _ended_where_it_hangs(timeout: float) -> Iterator[None]:
    """End a worker that is still at it well after a time-out: Spark tries its task on another.

    Where a group's coordinator goes away, librdkafka may wait for it for ever, whatever the call's
    time-out says (its issues 5456 and 5511; 2.11 to 2.16 at least). All of its waits end at a time
    of day: where the clock is set back meanwhile, they take as much longer.
    """
    if TaskContext.get() is None:
        yield
        return
    alarm = threading.Timer(timeout + GRACE_S, os._exit, (os.EX_UNAVAILABLE,))
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


class KafkaLedger:
    """A partition's transactional producer (KIP-98), with what the group said as it was taken."""

    def __init__(
        self,
        kafka: KafkaSettings,
        group: Group,
        at: Partition,
        run: Run,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        """Fence every older owner of the partition, end what it had begun, then ask the group.

        Raises:
            TransactionFailed: The broker does not answer, or refuses.

        """
        self._at = at
        self._group = group
        options = {
            **librdkafka_options(kafka),
            **BASICS,
            "transactional.id": f"{group.id}/{at[0]}/{at[1]}",
            "transaction.timeout.ms": 1000 * TRANSACTION_S,
            "compression.type": kafka.compression_type,
            "partitioner": "murmur2_random",  # Java's: a key keeps its partition
            "message.max.bytes": MAX_UNCOMPRESSED_BYTES,
            "queue.buffering.max.kbytes": 2 * MAX_UNCOMPRESSED_BYTES // 1024,
            "batch.size": batch_bytes,
        }
        try:
            self._producer = Producer(options, logger=LIBRDKAFKA_LOGGER)
            # Connected first: else it rests for 500 ms before it asks for its coordinator. The
            # first answer may come through the bootstrap connection, which does not count.
            for _ in range(2):
                self._producer.list_topics(at[0], timeout=PATIENCE)
            self._producer.init_transactions(PATIENCE)
            self.topic_id = group.topics([at[0]]).get(at[0], NO_TOPIC).id
            self.position = group.positions([at]).get(at)
        except KafkaException as error:
            raise TransactionFailed(at, f"{error.args[0]}{HINT.format(group.id)}") from error
        self._run = run
        self._left = self.position

    def commit(self, rows: Sequence[Row], following: int) -> None:
        """Send outcomes (`schemas.SINK_COLUMNS`) and the next offset to answer, all or nothing.

        Kafka compares no offset with another before it takes a new one. So the offset is read after
        the outcomes are sent and just before the next offset is, and nothing is committed if it is
        not the one that this ledger left. What remains is the time between that reading and the
        moment when Kafka takes the next offset: a round trip. An offset that somebody sets in it is
        overwritten; one that somebody sets later, even before the transaction ends, stays.

        Raises:
            TransactionFailed: It may be committed all the same; or a later owner has fenced this.
            GroupOffsetsChanged, GroupOffsetLost, Superseded: Something else has set the offset.

        """
        after = Position(following, self._run, self.topic_id)
        offset = TopicPartition(*self._at, following, metadata=encode(self._run, self.topic_id))
        try:
            self._commit(rows, offset)
        except KafkaException as error:
            raise TransactionFailed(self._at, error.args[0]) from error
        self._left = after

    def close(self) -> None:
        """Drop what is not committed, and the connections."""
        self._producer.purge()
        # Its own close would wait for a broker that is away.
        del self._producer

    @_ended_where_it_hangs(TRANSACTION_S)
    def _commit(self, rows: Sequence[Row], offset: TopicPartition) -> None:
        self._producer.begin_transaction()
        for row in rows:
            self._send(row)
        # Else the offsets are sent while messages are under way, and rest for 100 ms. What was not
        # delivered by then, or refused, makes the next call fail.
        self._producer.flush(TRANSACTION_S)
        try:
            self._verify()
        except TidemillError:
            with suppress(KafkaException):  # else readers wait for it until it times out
                self._producer.abort_transaction(VERIFY_S)
            raise
        membership = self._group.membership()
        self._producer.send_offsets_to_transaction([offset], membership, TRANSACTION_S)
        self._producer.commit_transaction(TRANSACTION_S)

    def _verify(self) -> None:
        """Check that the group still says what this ledger left there."""
        committed = self._group.positions([self._at], VERIFY_S).get(self._at)
        if committed is None and self._left:  # Kafka also forgets it together with its topic
            topic_id = self._group.topics([self._at[0]]).get(self._at[0], NO_TOPIC).id
            resume(self._at, None, self._run, topic_id, self.topic_id)
        verify(self._at, committed, self._left, self._run)

    def _send(self, row: Row) -> None:
        headers = [(header["key"], header["value"]) for header in row["headers"]]
        while True:
            try:
                # Without a callback: where a producer is fenced, those turn its error into a
                # SystemError.
                self._producer.produce(
                    row["topic"], key=row["key"], value=row["value"], headers=headers
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return


@dataclass(frozen=True, slots=True)
class ExactlyOnce:
    """Deliver the batches of a run of the job; small, to travel to the workers.

    `claimed` are the partitions that were there when the run began, with their topics' ids;
    `batch_bytes` bounds a batch of records, uncompressed.
    """

    kafka: KafkaSettings
    group_id: str
    run: Run
    claimed: dict[Partition, str]
    batch_bytes: int = BATCH_BYTES

    def __call__(
        self, batch: pa.RecordBatch, answer: Callable[[pa.RecordBatch], list[Row]]
    ) -> list[Row]:
        """Answer what is due of a batch (`schemas.RECORD`), commit it, and return its outcomes.

        Raises:
            TransactionFailed: It is to be tried again.
            Superseded, TopicRecreated, GroupOffsetsChanged, GroupOffsetLost: It must not be.

        """
        owner = self._owner()
        rows = []
        places = zip(batch["topic"].to_pylist(), batch["partition"].to_pylist(), strict=True)
        start = 0
        for at, same in groupby(places):  # one; unless Spark put two partitions into a task
            part = batch.slice(start, len(list(same)))
            start += part.num_rows
            offsets = part["offset"].to_pylist()
            rows += owner.deliver(at, offsets, partial(_answer_from, answer, part))
        return rows

    def _owner(self) -> Owner[Row]:
        """Return what this process owns in this run; what it owned in another is given up."""
        if self.run not in _owners:
            fork.ensure_fork()  # Kafka's client brings threads
            while _owners:
                _owners.popitem()[1].close()
            group = Group(self.kafka, self.group_id)
            _owners[self.run] = Owner(partial(self._take, group))
        return _owners[self.run]

    @_ended_where_it_hangs(PATIENCE)
    def _take(self, group: Group, at: Partition) -> tuple[KafkaLedger, int]:
        ledger = KafkaLedger(self.kafka, group, at, self.run, self.batch_bytes)
        try:
            due = resume(at, ledger.position, self.run, ledger.topic_id, self.claimed.get(at))
        except BaseException:
            ledger.close()
            raise
        return ledger, due


# Of this process.
_owners: dict[Run, Owner[Row]] = {}


def _answer_from(
    answer: Callable[[pa.RecordBatch], list[Row]], batch: pa.RecordBatch, first: int
) -> list[Row]:
    return answer(batch.slice(first))
