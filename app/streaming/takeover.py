"""What a start finds, where it goes on, and how it makes the partitions its own."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from app.errors import (
    BrokerUnreachable,
    DataLoss,
    GroupAltered,
    GroupBehindCheckpoint,
    GroupHasMembers,
    GroupOffsetLost,
    OtherDelivery,
    Superseded,
    TopicRecreated,
)
from app.monitoring.lag import LagReader
from app.streaming import checkpoint, integrity
from app.streaming.group import NO_TOPIC, Group, Topic
from app.streaming.position import Position, Run
from app.streaming.transaction import ExactlyOnce, KafkaLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.monitoring.progress import Offsets
    from app.monitoring.snapshot import PartitionLag
    from app.settings import KafkaSettings, StreamSettings
    from app.streaming.position import Partition

# Each claim waits for its coordinator most of the time.
CLAIMS_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Start:
    """Where a query without a checkpoint starts, and what delivers in Spark's place."""

    offsets: str
    deliver: ExactlyOnce | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What there is before a start: partitions, what the group and the checkpoint say of them.

    `checkpoint` holds the next offsets that Spark reads, of a checkpoint that is `used`.
    """

    partitions: Sequence[PartitionLag]
    positions: dict[Partition, Position]
    topics: dict[str, Topic]
    used: bool = False
    checkpoint: Offsets = field(default_factory=dict)

    @property
    def runs(self) -> list[Run]:
        """Return the exactly-once runs that have committed what the group says."""
        return [position.run for position in self.positions.values() if position.run]


def begin(kafka: KafkaSettings, stream: StreamSettings) -> Start:
    """Look where the job goes on; with exactly-once, take over all partitions.

    Raises:
        ConfigurationError, DataLoss, BrokerUnreachable: As `examine`.
        TransactionFailed: Kafka does not answer, or refuses.

    """
    with Group(kafka, stream.group_id) as group:
        found, starts = examine(kafka, stream, group)
        if stream.delivery == "at-least-once":
            return Start(_as_json(starts) if found.runs else stream.starting_offsets)
        last = max((run.number for run in found.runs), default=0)
        run = Run(last + 1, uuid.uuid4().hex[:8])
        with ThreadPoolExecutor(CLAIMS_AT_A_TIME) as pool:
            claims = [pool.submit(claim, kafka, group, run, *start) for start in starts.items()]
            for done in claims:
                done.result()
    return Start(_as_json(starts), ExactlyOnce(kafka, stream.group_id, run, frozenset(starts)))


def examine(kafka: KafkaSettings, stream: StreamSettings, group: Group) -> tuple[Found, Offsets]:
    """Return what there is, and where each partition goes on; change nothing.

    Raises:
        ConfigurationError: Going on would lose messages, or answer some twice; or the checkpoint
            is damaged.
        DataLoss: There were messages that nobody has answered.
        BrokerUnreachable: Kafka does not answer.

    """
    integrity.check(stream.checkpoint_location)
    try:
        found = look(kafka, stream, group)
        starts = where(found, stream, group.has_record)
        if stream.delivery == "exactly-once" and (members := group.members()):
            raise GroupHasMembers(group.id, members)
    except KafkaException as error:
        raise BrokerUnreachable(kafka.bootstrap_servers, error.args[0]) from error
    return found, starts


def look(kafka: KafkaSettings, stream: StreamSettings, group: Group) -> Found:
    """Ask Kafka, and read the checkpoint."""
    with closing(LagReader(kafka, stream)) as reader:
        partitions = reader.look(time.time(), ages=False).partitions
    done = checkpoint.finished(stream.checkpoint_location)
    return Found(
        partitions,
        group.positions([(p.topic, p.partition) for p in partitions]),
        group.topics(sorted({p.topic for p in partitions})),
        checkpoint.is_used(stream.checkpoint_location),
        done.offsets if done else {},
    )


def where(
    found: Found, stream: StreamSettings, has_record: Callable[[Partition, int, int], bool]
) -> Offsets:
    """Return where each partition goes on: at the group's offset, where it has one.

    `has_record` tells whether there is a record from one offset to another, the end not included.

    Raises:
        ConfigurationError, DataLoss: As `begin`.

    """
    exactly_once = stream.delivery == "exactly-once"
    if found.used and found.positions and exactly_once != bool(found.runs):
        raise OtherDelivery(stream.checkpoint_location, stream.delivery)
    starts = {}
    for p in found.partitions:
        at = p.topic, p.partition
        position = found.positions.get(at)
        if exactly_once:
            _compare(p, position, found, has_record)
            unread = position and not found.used and position.offset < p.begin
            if unread and stream.fail_on_data_loss:
                raise DataLoss(stream.checkpoint_location)
        starts[at] = position.offset if position else _asked(stream.starting_offsets, p)
        if found.used and not position:
            starts[at] = found.checkpoint.get(at, p.begin)
    return starts


def _compare(
    p: PartitionLag,
    position: Position | None,
    found: Found,
    has_record: Callable[[Partition, int, int], bool],
) -> None:
    """Refuse what the group, the topic and the checkpoint do not say alike of a partition."""
    at = p.topic, p.partition
    read = found.checkpoint.get(at, 0)
    if position is None:
        if p.begin < read and has_record(at, p.begin, read):
            raise GroupOffsetLost(at)
        return
    topic = found.topics.get(p.topic, NO_TOPIC)
    if position.offset > p.end or position.topic_id not in {None, topic.id}:
        raise TopicRecreated(p.topic)
    if found.used and position.run is None:
        raise GroupAltered(at, position.offset)
    first = max(p.begin, position.offset)
    if first < read and has_record(at, first, read):
        raise GroupBehindCheckpoint(at, position.offset, read)


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


def _asked(starting_offsets: str, p: PartitionLag) -> int:
    """Return the offset that the setting means: Spark's words, -2 for earliest, -1 for latest."""
    named = {"earliest": p.begin, "latest": p.end, "-2": p.begin, "-1": p.end}
    if starting_offsets in named:
        return named[starting_offsets]
    offset = json.loads(starting_offsets).get(p.topic, {}).get(str(p.partition), -2)
    return named.get(str(offset), int(offset))


def _as_json(starts: Offsets) -> str:
    topics: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in starts.items():
        topics.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(topics)
