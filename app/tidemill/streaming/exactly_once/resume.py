"""Where a start goes on, decided over what it found: pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.errors import (
    DataLoss,
    DeliveryModeChanged,
    GroupBehindCheckpoint,
    GroupOffsetLost,
    GroupOffsetsChanged,
    TopicRecreated,
)
from tidemill.streaming import starting_offsets
from tidemill.streaming.checkpoint.offset_log import OffsetLog
from tidemill.streaming.checkpoint.topic_record import TopicRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.kafka.lag import PartitionLag
    from tidemill.settings import StreamSettings
    from tidemill.streaming.exactly_once.position import Partition, Position, Run
    from tidemill.streaming.progress import Offsets


@dataclass(frozen=True, slots=True)
class Found:
    """What there is before a start: partitions, and what the group and the checkpoint say of them.

    `topic_ids` are those of the topics that exist now; `shrunk` those that have fewer partitions
    than the checkpoint, as only another topic of the name can have. `record` is what the
    checkpoint's last run saw. A checkpoint that is not `readable` may be new, or not.
    """

    partitions: Sequence[PartitionLag]
    positions: dict[Partition, Position]
    topic_ids: dict[str, str]
    log: OffsetLog = field(default_factory=OffsetLog)
    record: TopicRecord = field(default_factory=TopicRecord)
    shrunk: frozenset[str] = frozenset()
    readable: bool = True

    @property
    def runs(self) -> list[Run]:
        """Return the exactly-once runs that have committed what the group says."""
        return [position.run for position in self.positions.values() if position.run]

    def is_same(self, topic: str) -> bool:
        """Return whether a topic may be the one whose messages the checkpoint has counted."""
        known = self.record.ids.get(topic)
        return topic not in self.shrunk and known in {None, self.topic_ids.get(topic)}

    def exists(self, topic: str) -> bool:
        """Return whether a topic of the checkpoint is still there."""
        return topic in self.topic_ids and self.is_same(topic)

    def answered(self, at: Partition) -> int:
        """Return the offset up to which a partition is answered, as far as anybody knows."""
        position = self.positions.get(at)
        return position.offset if position and position.run else self.log.start.get(at, 0)


def where(
    found: Found, stream: StreamSettings, has_record: Callable[[Partition, int, int], bool]
) -> Offsets:
    """Return where each partition goes on: at the group's offset, if it has one.

    `has_record` tells whether there is a record from one offset to another, the end not included.

    Raises:
        ConfigurationError: Going on would lose messages, or answer some twice; or
            `starting_offsets` does not fit the topics.
        DataLoss: There were messages that nobody has answered.

    """
    exactly_once = stream.delivery == "exactly-once"
    used = found.log.is_used
    if used and found.positions and exactly_once != bool(found.runs):
        raise DeliveryModeChanged(stream.checkpoint_location, stream.delivery)
    # With at-least-once the group only tells, unless an exactly-once run has left it.
    positions = found.positions if exactly_once or found.runs else {}
    configured = {}
    if not used and not positions:
        configured = starting_offsets.resolve(stream, found.partitions, strict=found.readable)
    starts = {}
    for p in found.partitions:
        at = p.topic, p.partition
        position = positions.get(at)
        if exactly_once:
            _compare(p, position, found, has_record)
            unread = position and not used and position.offset < p.begin
            if unread and stream.fail_on_data_loss:
                raise DataLoss(stream.checkpoint_location)
        elif found.log.start.get(at, 0) > p.end + p.held_back and p.topic not in found.record.ids:
            raise TopicRecreated(p.topic)
        starts[at] = position.offset if position else configured.get(at, p.begin)
        if used and not position:
            starts[at] = found.log.start.get(at, p.begin)
    return starts


def _compare(
    p: PartitionLag,
    position: Position | None,
    found: Found,
    has_record: Callable[[Partition, int, int], bool],
) -> None:
    """Refuse what the group, the topic and the checkpoint do not say alike of a partition."""
    at = p.topic, p.partition
    read = found.log.start.get(at, 0)
    if position is None:
        if read > p.end + p.held_back:
            raise TopicRecreated(p.topic)
        if p.begin < read and has_record(at, p.begin, read):
            raise GroupOffsetLost(at)
        return
    known = position.topic_id in {None, found.topic_ids.get(p.topic)}
    if not known or position.offset > p.end + p.held_back:
        raise TopicRecreated(p.topic)
    if found.log.is_used and position.run is None:
        raise GroupOffsetsChanged(at, position.offset)
    first = max(p.begin, position.offset)
    if first < read and has_record(at, first, read):
        raise GroupBehindCheckpoint(at, position.offset, read)
