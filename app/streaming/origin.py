"""Where a start goes on, decided over what it found: pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.errors import (
    DataLoss,
    GroupAltered,
    GroupBehindCheckpoint,
    GroupOffsetLost,
    OtherDelivery,
    TopicRecreated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.monitoring.progress import Offsets
    from app.monitoring.snapshot import PartitionLag
    from app.settings import StreamSettings
    from app.streaming.position import Partition, Position, Run


@dataclass(frozen=True, slots=True)
class Found:
    """What there is before a start: partitions, what the group and the checkpoint say of them.

    `checkpoint` holds the next offsets that Spark reads, of a checkpoint that is `used`.
    """

    partitions: Sequence[PartitionLag]
    positions: dict[Partition, Position]
    topic_ids: dict[str, str]
    used: bool = False
    checkpoint: Offsets = field(default_factory=dict)

    @property
    def runs(self) -> list[Run]:
        """Return the exactly-once runs that have committed what the group says."""
        return [position.run for position in self.positions.values() if position.run]


def where(
    found: Found, stream: StreamSettings, has_record: Callable[[Partition, int, int], bool]
) -> Offsets:
    """Return where each partition goes on: at the group's offset, where it has one.

    `has_record` tells whether there is a record from one offset to another, the end not included.

    Raises:
        ConfigurationError: Going on would lose messages, or answer some twice.
        DataLoss: There were messages that nobody has answered.

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
        if read > p.end:
            raise TopicRecreated(p.topic)
        if p.begin < read and has_record(at, p.begin, read):
            raise GroupOffsetLost(at)
        return
    if position.offset > p.end or position.topic_id not in {None, found.topic_ids.get(p.topic)}:
        raise TopicRecreated(p.topic)
    if found.used and position.run is None:
        raise GroupAltered(at, position.offset)
    first = max(p.begin, position.offset)
    if first < read and has_record(at, first, read):
        raise GroupBehindCheckpoint(at, position.offset, read)


def _asked(starting_offsets: str, p: PartitionLag) -> int:
    """Return the offset that the setting means: Spark's words, -2 for earliest, -1 for latest."""
    named = {"earliest": p.begin, "latest": p.end, "-2": p.begin, "-1": p.end}
    if starting_offsets in named:
        return named[starting_offsets]
    offset = json.loads(starting_offsets).get(p.topic, {}).get(str(p.partition), -2)
    return named.get(str(offset), int(offset))
