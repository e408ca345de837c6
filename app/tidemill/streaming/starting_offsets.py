"""Find the offsets that the setting `stream.starting_offsets` stands for (pure)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidemill.errors import InvalidStartingOffsets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.kafka.lag import PartitionLag
    from tidemill.settings import StreamSettings
    from tidemill.streaming.progress import Offsets

# As Spark writes them.
EARLIEST, LATEST = -2, -1
WORDS = ("earliest", "latest")


def resolve(
    stream: StreamSettings, partitions: Sequence[PartitionLag], *, strict: bool = True
) -> Offsets:
    """Return the offset at which each partition starts; the earliest if the setting names none.

    Spark does not look at the setting if there is a checkpoint. If nobody can tell, `strict` is
    false, and no partition and no offset is refused.

    Raises:
        InvalidStartingOffsets: The setting names a partition that is no input, or an offset that
            the partition does not hold.

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
    for at, p in inputs.items():
        offset = named.get(at, EARLIEST)
        starts[at] = {EARLIEST: p.begin, LATEST: p.end}.get(offset, offset)
        if starts[at] < p.begin and not stream.fail_on_data_loss:
            starts[at] = p.begin
        if strict and not p.begin <= starts[at] <= p.end:
            reason = f"holds offsets {p.begin} to {p.end}, not {offset}"
            raise InvalidStartingOffsets(at, reason)
    return starts
