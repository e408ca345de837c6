"""Write a worker's outcomes and offsets in transactions, from within its Spark task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from tidemill.streaming.exactly_once.group import CALL_TIMEOUT_S, Group
from tidemill.streaming.exactly_once.hang import exit_if_hung
from tidemill.streaming.exactly_once.owner import PartitionOwner
from tidemill.streaming.exactly_once.position import resume
from tidemill.streaming.exactly_once.producer import (
    BATCH_BYTES,
    KafkaTransactionalWriter,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from tidemill.settings import KafkaSettings
    from tidemill.spark.batch_delivery import Deliver
    from tidemill.streaming.exactly_once.position import RunEpoch, TopicPartition


@dataclass(frozen=True, slots=True)
class TransactionalWorker:
    """Deliver the batches of one run of the job; small, because Spark sends it to the workers.

    `claimed` maps the partitions that existed when the run began to their topics' ids;
    `batch_bytes` limits the uncompressed size of a record batch.
    """

    kafka: KafkaSettings
    group_id: str
    run: RunEpoch
    claimed: dict[TopicPartition, str]
    batch_bytes: int = BATCH_BYTES

    def begin(self, batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, Deliver]]:
        """Yield the uncommitted records (`schemas.RECORD`) of each partition in a batch.

        What delivers their outcomes commits them, and raises the same errors.

        Raises:
            TransactionFailed: Spark may retry the task.
            Superseded, TopicRecreated, GroupOffsetsChanged, GroupOffsetLost: The job must stop.

        """
        owner = self._owner()
        partitions = zip(batch["topic"].to_pylist(), batch["partition"].to_pylist(), strict=True)
        start = 0
        # A batch has one partition, unless Spark puts two into a task.
        for partition, records in groupby(partitions):
            part = batch.slice(start, len(list(records)))
            start += part.num_rows
            offsets = part["offset"].to_pylist()
            first = owner.first_uncommitted(partition, offsets)
            yield part.slice(first), partial(owner.deliver, partition, offsets, first)

    def _owner(self) -> PartitionOwner[Row]:
        """Return this process's owner for this run, and close the owners of earlier runs."""
        if self.run not in _owners:
            while _owners:
                _owners.popitem()[1].close()
            group = Group(self.kafka, self.group_id)
            _owners[self.run] = PartitionOwner(partial(self._open_writer, group))
        return _owners[self.run]

    @exit_if_hung(CALL_TIMEOUT_S)
    def _open_writer(
        self, group: Group, partition: TopicPartition
    ) -> tuple[KafkaTransactionalWriter, int]:
        """Take over a partition; return its writer and the next offset to process."""
        writer = KafkaTransactionalWriter(self.kafka, group, partition, self.run, self.batch_bytes)
        try:
            next_offset = resume(
                partition,
                writer.committed,
                self.run,
                writer.topic_id,
                self.claimed.get(partition),
            )
        except BaseException:
            writer.close()
            raise
        return writer, next_offset


# The owners of this process, of which there is one at most.
_owners: dict[RunEpoch, PartitionOwner[Row]] = {}
