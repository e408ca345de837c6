"""What a start does before the query: look where it goes on, and make the partitions its own."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from confluent_kafka import KafkaException

from tidemill.errors import GroupHasMembers, GroupOffsetsChanged, Superseded
from tidemill.kafka.connect import kafka_errors, unreachable
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.kafka.lag_reader import LagReader
from tidemill.spark.filesystem import UNREADABLE
from tidemill.streaming import input_changes, starting_offsets
from tidemill.streaming.checkpoint import checksums, offset_log, topic_record
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.exactly_once.delivery import ExactlyOnce, KafkaLedger
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.position import Position, Run
from tidemill.streaming.exactly_once.resume import Found, where
from tidemill.streaming.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tidemill.kafka.lag import PartitionLag
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.exactly_once.position import Partition
    from tidemill.streaming.input_changes import InputChanges
    from tidemill.streaming.progress import Offsets

log = structlog.get_logger(__name__)

CALLS_AT_A_TIME = 8

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a query without a checkpoint starts, and what delivers in Spark's place.

    `topics` is to be kept with the checkpoint once the query has started; None if the checkpoint
    could not be read. `finished` is what the checkpoint says is done.
    """

    offsets: str
    topics: TopicRecord | None
    finished: Progress
    deliver: ExactlyOnce | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a start has found, and what it will do: where each partition goes on."""

    found: Found
    starts: Offsets
    changes: InputChanges


def take_over(kafka: KafkaSettings, stream: StreamSettings) -> Start:
    """Look where the job goes on; with exactly-once, take over all partitions.

    Raises:
        ConfigurationError, DataLoss, BrokerUnreachable: As `examine`.
        TransactionFailed: Kafka does not answer, or refuses.

    """
    with Group(kafka, stream.group_id) as group:
        if stream.delivery == "at-least-once":
            plan = examine(kafka, stream, group)
            if plan.found.runs:
                # The end of exactly-once: a crash in the first micro-batch leaves no marks of it.
                with closing(GroupCommitter(kafka, stream.group_id)) as commit, kafka_errors(kafka):
                    commit(plan.starts)
            run = None
        else:
            # First: a transaction that an owner left open hides the offsets until it times out.
            _each(partial(_fence, kafka, group), _partitions(kafka, stream))
            plan = examine(kafka, stream, group)
            last = max((run.number for run in plan.found.runs), default=0)
            run = Run(last + 1, uuid.uuid4().hex[:8])
            expected = {
                at: plan.found.positions.get(at, Position(start))
                for at, start in plan.starts.items()
            }
            _each(lambda one: claim(kafka, group, run, *one), expected.items())
            # A transaction's end is told before it is written: from here on all see the claims.
            group.positions(plan.starts)
    _apply(plan, stream.checkpoint_location)
    found = plan.found
    ids = found.topic_ids
    topics = record(plan) if found.readable else None
    finished = Progress(found.log.batch, offsets=plan.changes.start)
    offsets = offset_log.as_json(plan.starts)
    if run is None:
        if stream.starting_offsets in starting_offsets.WORDS and not found.runs:
            offsets = stream.starting_offsets  # also of partitions that come before Spark asks
        return Start(offsets, topics, finished)
    deliver = ExactlyOnce(
        kafka, stream.group_id, run, {at: ids.get(at[0], "") for at in plan.starts}
    )
    return Start(offsets, topics, finished, deliver)


def examine(kafka: KafkaSettings, stream: StreamSettings, group: Group) -> Plan:
    """Return what there is, and where each partition goes on; change nothing.

    Raises:
        ConfigurationError: Going on would lose messages, or answer some twice; or the checkpoint
            is damaged.
        DataLoss: There were messages that nobody has answered.
        BrokerUnreachable: Kafka does not answer.

    """
    checksums.check(stream.checkpoint_location)
    try:
        found = look(kafka, stream, group)
        changes = input_changes.compare(
            found, accept_loss=not stream.fail_on_data_loss, has_record=group.has_record
        )
        starts = where(found, stream, group.has_record)
        if stream.delivery == "exactly-once" and (members := group.members()):
            raise GroupHasMembers(group.id, members)
    except KafkaException as error:
        raise unreachable(kafka, error.args[0]) from error
    return Plan(found, starts, changes)


def look(kafka: KafkaSettings, stream: StreamSettings, group: Group) -> Found:
    """Ask Kafka, and read the checkpoint."""
    entries, readable = offset_log.OffsetLog(), True
    try:
        entries = offset_log.read(stream.checkpoint_location)
    except UNREADABLE:  # of which the integrity check has warned
        readable = False
    # The ends after the positions, so that a running job is never seen beyond an end.
    positions = group.positions([(p.topic, p.partition) for p in _partitions(kafka, stream)])
    partitions = _partitions(kafka, stream)
    inputs = {(p.topic, p.partition) for p in partitions}
    left = (entries.start.keys() | entries.planned.keys()) - inputs
    last = topic_record.read(stream.checkpoint_location)
    known = last or TopicRecord()
    names = sorted({topic for topic, _ in inputs | left | known.left.keys()})
    topics = group.topics(names)
    topic_ids = {name: topic.id for name, topic in topics.items()}
    shrunk = {name for name, p in left if name in topics and p >= topics[name].partitions}
    if stream.delivery == "exactly-once":  # some of what the checkpoint had planned may be answered
        positions |= group.positions([at for at in left if at[0] in topic_ids])
    return Found(
        partitions,
        positions,
        topic_ids,
        entries,
        known,
        frozenset(shrunk),
        readable=readable and last is not None,
    )


def record(plan: Plan) -> TopicRecord:
    """Return what the run that begins knows of its topics, and of those that it no longer reads."""
    found, inputs = plan.found, {at[0] for at in plan.starts}
    left = {
        at: offset
        for at, offset in (found.record.left | plan.changes.removed).items()
        if at not in plan.starts and found.exists(at[0])
    }
    read = {at: max(start, found.log.start.get(at, 0)) for at, start in plan.starts.items()}
    behind = {p.topic for p in found.partitions if read[p.topic, p.partition] < p.end}
    known = inputs | {at[0] for at in left}
    ids = {name: topic_id for name, topic_id in found.topic_ids.items() if name in known}
    return TopicRecord(ids, frozenset(behind), left)


def _apply(plan: Plan, location: str) -> None:
    """Make the checkpoint fit the partitions that the job reads now."""
    for at, offset in plan.changes.removed.items():
        given_up = at in plan.changes.given_up
        where_to = {"partition": f"{at[0]}/{at[1]}", "answered_up_to": offset}
        if given_up:
            log.warning("giving up the unanswered messages of a partition", **where_to)
        else:
            log.info("no longer reading a partition, it is answered", **where_to)
    if plan.found.log.is_used:
        offset_log.rewrite(location, plan.found.log, plan.changes.start, plan.changes.planned)


def _partitions(kafka: KafkaSettings, stream: StreamSettings) -> Sequence[PartitionLag]:
    with closing(LagReader(kafka, stream)) as reader:
        return reader.look(time.time(), ages=False).partitions


def claim(kafka: KafkaSettings, group: Group, run: Run, at: Partition, expected: Position) -> None:
    """Fence all older owners of a partition, and put the run's name to its offset.

    `expected` is what the group said before; or where to start, if it says nothing.

    Raises:
        Superseded: A later run has done so meanwhile.
        GroupOffsetsChanged: Something else than a run has set the offset meanwhile.
        TransactionFailed: The broker does not answer, or refuses.

    """
    with closing(KafkaLedger(kafka, group, at, run)) as ledger:
        position = ledger.position or expected
        if position.run and position.run > run:
            raise Superseded
        if position.run is None and position != expected:
            raise GroupOffsetsChanged(at, position.offset)
        ledger.commit((), position.offset)


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
