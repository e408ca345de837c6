"""Partition ownership and fencing: the exactly-once protocol, independent of Kafka.

Each partition has one transactional writer. A new writer fences all earlier ones. A writer commits
outcomes and the next offset together or not at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from itertools import chain
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tidemill.errors import GroupOffsetsChanged, TidemillError, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.streaming.exactly_once.position import TopicPartition

# Each writer has one thread per broker, with 8 MiB of address space each.
MAX_WRITERS = 8

RowT = TypeVar("RowT")
RowT_contra = TypeVar("RowT_contra", contravariant=True)


class TransactionalWriter(Protocol[RowT_contra]):
    """Write one partition's outcomes and its offset in transactions."""

    def commit(self, rows: Sequence[RowT_contra], next_offset: int) -> None:
        """Write all rows and the next offset to process, or nothing.

        Raises:
            TransactionFailed: The writer is fenced, or cannot tell whether it committed.
            TidemillError: The offset was changed; nothing is written.

        """

    def close(self) -> None:
        """Release the writer; readers never see what it has not committed."""


class PartitionOwner(Generic[RowT]):
    """Deliver the outcomes of every message exactly once, even if Spark repeats a task.

    Keep writers as long as they work. A writer that fails may have committed or not, and may be
    fenced: close it, and open a new one, which reads the committed offset.
    """

    def __init__(
        self,
        open_writer: Callable[[TopicPartition], tuple[TransactionalWriter[RowT], int]],
        max_writers: int = MAX_WRITERS,
    ) -> None:
        """Take a function that opens a writer and returns it with the next offset to process."""
        self._open_writer = open_writer
        self._max_writers = max_writers
        self._writers: OrderedDict[TopicPartition, tuple[TransactionalWriter[RowT], int]] = (
            OrderedDict()
        )

    def first_uncommitted(self, partition: TopicPartition, offsets: Sequence[int]) -> int:
        """Return the index of the first message that is not committed; `offsets` are ascending.

        Raises:
            TransactionFailed: The writer cannot be opened.
            GroupOffsetsChanged, GroupOffsetLost, Superseded: The partition's offset was changed.

        """
        _, next_offset = self._writer(partition)
        return bisect_left(offsets, next_offset)

    def deliver(
        self,
        partition: TopicPartition,
        offsets: Sequence[int],
        first: int,
        outcomes: Sequence[list[RowT]],
    ) -> list[RowT]:
        """Commit the outcomes that are not committed yet, and return them.

        `offsets` are those of consecutive messages, of which those before the index `first` were
        committed before. `outcomes` has a list for each other one, with any number of outcomes. All
        outcomes of a message are committed together with its offset.

        Raises:
            TransactionFailed: Two commits failed, the second one with a new writer.
            GroupOffsetsChanged, GroupOffsetLost, Superseded: The partition's offset was changed.
            ValueError: The number of outcomes is wrong.

        """
        if len(outcomes) != len(offsets) - first:  # the rest would be lost
            raise ValueError(f"{len(outcomes)} outcomes for {len(offsets) - first} messages")
        for is_last_attempt in (False, True):
            writer, next_offset = self._writer(partition)
            if first and next_offset <= offsets[first - 1]:
                raise GroupOffsetsChanged(partition, next_offset)
            pending = outcomes[bisect_left(offsets, next_offset) - first :]
            if not pending:
                break
            rows = list(chain.from_iterable(pending))
            try:
                writer.commit(rows, offsets[-1] + 1)
            except TransactionFailed:
                self.release(partition)
                if is_last_attempt:
                    raise  # Spark decides whether and where to retry the task
            except TidemillError:
                self.release(partition)
                raise
            else:
                self._writers[partition] = writer, offsets[-1] + 1
                return rows
        return []

    def release(self, partition: TopicPartition) -> None:
        """Close a partition's writer."""
        writer, _ = self._writers.pop(partition)
        writer.close()

    def close(self) -> None:
        """Close all writers."""
        for partition in list(self._writers):
            self.release(partition)

    def _writer(self, partition: TopicPartition) -> tuple[TransactionalWriter[RowT], int]:
        """Return the partition's writer and the next offset to process."""
        if partition not in self._writers:
            while len(self._writers) >= self._max_writers:
                self.release(next(iter(self._writers)))
            self._writers[partition] = self._open_writer(partition)
        self._writers.move_to_end(partition)
        return self._writers[partition]
