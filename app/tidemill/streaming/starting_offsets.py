"""Decide at which offset each partition starts or resumes (pure)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidemill.errors import InvalidStartingOffsets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.kafka.lag import PartitionLag
    from tidemill.settings import StreamSettings
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition
    from tidemill.streaming.progress import Offsets
    from tidemill.streaming.start_state import StartState

# Spark's numbers for these offsets.
EARLIEST, LATEST = -2, -1
WORDS = ("earliest", "latest")


def resume(
    state: StartState,
    stream: StreamSettings,
    group_offsets: Mapping[TopicPartition, CommittedOffset],
) -> Offsets:
    """Return the offset at which each partition resumes.

    It is the group's offset, then the checkpoint's, then that of `starting_offsets` if there is
    neither a checkpoint nor any group offset, then the first.

    Raises:
        InvalidStartingOffsets: `starting_offsets` does not fit the topics.

    """
    if state.offset_log.is_used:
        fallback = state.offset_log.start
    elif group_offsets:
        fallback = {}
    else:
        fallback = resolve(stream, state.partitions, strict=state.checkpoint_readable)
    offsets = {}
    for p in state.partitions:
        partition = p.topic, p.partition
        committed = group_offsets.get(partition)
        offsets[partition] = committed.offset if committed else fallback.get(partition, p.begin)
    return offsets


def resolve(
    stream: StreamSettings, partitions: Sequence[PartitionLag], *, strict: bool = True
) -> Offsets:
    """Return the offset at which each partition starts; the earliest if the setting names none.

    Spark ignores the setting if a checkpoint exists. If that is unknown, pass `strict=False`, which
    accepts any partition and any offset.

    Raises:
        InvalidStartingOffsets: The setting names an unknown partition, or an offset outside of the
            partition.

    """
    setting = stream.starting_offsets
    if setting in WORDS:
        return {
            (p.topic, p.partition): p.begin if setting == "earliest" else p.end for p in partitions
        }
    named = {
        (topic, int(partition)): offset
        for topic, offsets in json.loads(setting).items()
        for partition, offset in offsets.items()
    }
    inputs = {(p.topic, p.partition): p for p in partitions}
    if (unknown := sorted(named.keys() - inputs.keys())) and strict:
        raise InvalidStartingOffsets(unknown[0], "is not a partition of an input topic")
    starts = {}
    for partition, p in inputs.items():
        offset = named.get(partition, EARLIEST)
        start = {EARLIEST: p.begin, LATEST: p.end}.get(offset, offset)
        if start < p.begin and not stream.fail_on_data_loss:
            start = p.begin
        if strict and not p.begin <= start <= p.end:
            reason = f"holds offsets {p.begin} to {p.end}, not {offset}"
            raise InvalidStartingOffsets(partition, reason)
        starts[partition] = start
    return starts
