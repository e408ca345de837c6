"""Take over partitions at the start of a run: fence their owners and commit the run's number."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from tidemill.errors import GroupOffsetsChanged, Superseded
from tidemill.streaming.exactly_once.position import RunEpoch
from tidemill.streaming.exactly_once.producer import KafkaTransactionalWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidemill.settings import KafkaSettings
    from tidemill.streaming.exactly_once.group import Group
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition

MAX_PARALLEL_CALLS = 8

Item = TypeVar("Item")


def fence(kafka: KafkaSettings, group: Group, partitions: Iterable[TopicPartition]) -> None:
    """Fence all earlier owners of the partitions, which aborts their open transactions.

    Raises:
        TransactionFailed: The broker does not answer, or refuses the request.

    """

    def fence_one(partition: TopicPartition) -> None:
        KafkaTransactionalWriter(kafka, group, partition, RunEpoch(0, "")).close()

    _in_parallel(fence_one, partitions)


def claim_all(
    kafka: KafkaSettings,
    group: Group,
    run: RunEpoch,
    expected: dict[TopicPartition, CommittedOffset],
) -> None:
    """Claim partitions, and wait until every reader of the group's offsets sees the claims.

    Raises:
        Superseded, GroupOffsetsChanged, TransactionFailed: As `claim`.

    """
    _in_parallel(lambda item: claim(kafka, group, run, *item), expected.items())
    # Kafka acknowledges a transaction before its end is written.
    group.stable_committed(expected)


def claim(
    kafka: KafkaSettings,
    group: Group,
    run: RunEpoch,
    partition: TopicPartition,
    expected: CommittedOffset,
) -> None:
    """Fence all earlier owners of a partition, and commit the run's number with its offset.

    `expected` is the offset that the group had before, or where to start if it had none.

    Raises:
        Superseded: A later run has claimed the partition.
        GroupOffsetsChanged: A program other than an exactly-once run has set the offset.
        TransactionFailed: The broker does not answer, or refuses the request.

    """
    with closing(KafkaTransactionalWriter(kafka, group, partition, run)) as writer:
        committed = writer.committed or expected
        if committed.run and committed.run > run:
            raise Superseded
        if committed.run is None and committed != expected:
            raise GroupOffsetsChanged(partition, committed.offset)
        writer.commit((), committed.offset)


def _in_parallel(call: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Make a call for each item, several at a time; raise the first error."""
    with ThreadPoolExecutor(MAX_PARALLEL_CALLS) as pool:
        try:
            for future in [pool.submit(call, item) for item in items]:
                future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
