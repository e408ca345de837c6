"""What a start does before the query: look where it goes on, and make the partitions its own."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from confluent_kafka import KafkaException

from app.errors import CheckpointUnsupported, GroupHasMembers, Superseded
from app.monitoring.lag import LagReader
from app.monitoring.offsets import GroupCommitter
from app.reach import reaching, unreachable
from app.streaming import checkpoint, integrity
from app.streaming.group import Group
from app.streaming.origin import Found, where
from app.streaming.position import Position, Run
from app.streaming.transaction import ExactlyOnce, KafkaLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from app.monitoring.progress import Offsets
    from app.monitoring.snapshot import PartitionLag
    from app.settings import KafkaSettings, StreamSettings
    from app.streaming.position import Partition

log = structlog.get_logger(__name__)

CALLS_AT_A_TIME = 8

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a query without a checkpoint starts, and what delivers in Spark's place."""

    offsets: str
    deliver: ExactlyOnce | None = None


def begin(kafka: KafkaSettings, stream: StreamSettings) -> Start:
    """Look where the job goes on; with exactly-once, take over all partitions.

    Raises:
        ConfigurationError, DataLoss, BrokerUnreachable: As `examine`.
        TransactionFailed: Kafka does not answer, or refuses.

    """
    with Group(kafka, stream.group_id) as group:
        if stream.delivery == "at-least-once":
            found, starts = examine(kafka, stream, group)
            if not found.runs:
                return Start(stream.starting_offsets)
            # The end of exactly-once: a crash in the first micro-batch must not leave its marks.
            with closing(GroupCommitter(kafka, stream.group_id)) as commit, reaching(kafka):
                commit(starts)
            return Start(_as_json(starts))
        # First: a transaction that an owner left open hides the offsets until it times out.
        _each(partial(_fence, kafka, group), _partitions(kafka, stream))
        found, starts = examine(kafka, stream, group)
        last = max((run.number for run in found.runs), default=0)
        run = Run(last + 1, uuid.uuid4().hex[:8])
        _each(lambda start: claim(kafka, group, run, *start), starts.items())
        # A transaction's end is told before it is written: from here on all see the claims.
        group.positions(starts)
    claimed = {at: found.topic_ids.get(at[0], "") for at in starts}
    return Start(_as_json(starts), ExactlyOnce(kafka, stream.group_id, run, claimed))


def examine(kafka: KafkaSettings, stream: StreamSettings, group: Group) -> tuple[Found, Offsets]:
    """Return what there is, and where each partition goes on; change nothing.

    Raises:
        ConfigurationError: Going on would lose messages, or answer some twice; or the checkpoint
            is damaged.
        DataLoss: There were messages that nobody has answered.
        BrokerUnreachable: Kafka does not answer.

    """
    integrity.check(stream.checkpoint_location)
    if stream.delivery == "exactly-once":
        _warn_if_unseen(stream.checkpoint_location)
    try:
        found = look(kafka, stream, group)
        starts = where(found, stream, group.has_record)
        if stream.delivery == "exactly-once" and (members := group.members()):
            raise GroupHasMembers(group.id, members)
    except KafkaException as error:
        raise unreachable(kafka, error.args[0]) from error
    return found, starts


def look(kafka: KafkaSettings, stream: StreamSettings, group: Group) -> Found:
    """Ask Kafka, and read the checkpoint."""
    # The ends after the positions, so that a running job is never seen beyond an end.
    positions = group.positions([(p.topic, p.partition) for p in _partitions(kafka, stream)])
    partitions = _partitions(kafka, stream)
    names = sorted({p.topic for p in partitions})
    done = checkpoint.finished(stream.checkpoint_location)
    return Found(
        partitions,
        positions,
        {name: topic.id for name, topic in group.topics(names).items()},
        checkpoint.is_used(stream.checkpoint_location),
        done.offsets if done else {},
    )


def _partitions(kafka: KafkaSettings, stream: StreamSettings) -> Sequence[PartitionLag]:
    with closing(LagReader(kafka, stream)) as reader:
        return reader.look(time.time(), ages=False).partitions


def claim(kafka: KafkaSettings, group: Group, run: Run, at: Partition, start: int) -> None:
    """Fence all older owners of a partition, and put the run's name to its offset.

    Raises:
        Superseded: A later run has done so meanwhile.
        TransactionFailed: The broker does not answer, or refuses.

    """
    with closing(KafkaLedger(kafka, group, at, run)) as ledger:
        position = ledger.position or Position(start)
        if position.run and position.run > run:
            raise Superseded
        ledger.commit((), position.offset)


def _warn_if_unseen(location: str) -> None:
    try:
        checkpoint.locate(location)
    except CheckpointUnsupported:
        log.warning("the checkpoint is out of reach: not compared with the group", at=location)


def _fence(kafka: KafkaSettings, group: Group, p: PartitionLag) -> None:
    KafkaLedger(kafka, group, (p.topic, p.partition), Run(0, "")).close()


def _each(call: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Make a call for each, several at a time, as they wait for Kafka; raise what one raises."""
    with ThreadPoolExecutor(CALLS_AT_A_TIME) as pool:
        try:
            for done in [pool.submit(call, item) for item in items]:
                done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _as_json(starts: Offsets) -> str:
    topics: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in starts.items():
        topics.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(topics)
