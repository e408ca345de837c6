"""The replay progress in a partition of dead letters (pure).

Every letter below `offset` was replayed or skipped. So were the letters in `done_ranges` above it,
with waiting letters in between. A consumer group stores both: the offset as its committed offset,
the ranges in the commit's metadata, which holds `MAX_METADATA` characters. A letter is sent only if
there is `capacity` to record its outcome.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Below the broker's default for offset.metadata.max.bytes, 4096.
MAX_METADATA = 3500


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """The next offset to replay, and the disjoint, ordered ranges above it that are done."""

    offset: int
    done_ranges: tuple[range, ...] = ()

    def passed(self, offset: int) -> bool:
        """Tell whether the letter at an offset was replayed or skipped."""
        return offset < self.offset or any(offset in run for run in self.done_ranges)


def advance(
    progress: ReplayProgress,
    delivered: Collection[int],
    *,
    failed: Collection[int],
    skip_unselected: bool,
) -> ReplayProgress:
    """Return the progress after some letters were delivered.

    `failed` are the letters that this replay sent without success; they keep waiting. With
    `skip_unselected`, all other letters before the last delivered one are skipped.
    """
    done = [range(offset, offset + 1) for offset in delivered]
    if skip_unselected and delivered:
        last = max(delivered)
        waiting = sorted(offset for offset in failed if progress.offset <= offset < last)
        starts = [progress.offset, *(offset + 1 for offset in waiting)]
        done = list(map(range, starts, [*waiting, last + 1]))
    return _progress(progress.offset, [*progress.done_ranges, *done])


def capacity(progress: ReplayProgress, offset: int, *, failed: int, skip_unselected: bool) -> int:
    """Return how many letters, up to `offset`, may be in flight.

    The outcomes of all of them must fit into the metadata. Each of them, and each `failed` letter
    of this replay, adds at most one range. If none failed, one letter of a selection
    (`skip_unselected`) always fits: once delivered, it moves the offset.
    """
    longest = 2 * (len(str(offset)) + 1)  # the text of a range: `5-7,`
    left = (MAX_METADATA - len(encode(progress))) // longest - failed
    return max(left, 1) if skip_unselected and not failed else max(left, 0)


def encode(progress: ReplayProgress) -> str:
    """Return the done ranges as text: `5,7-9`."""
    return ",".join(
        f"{run.start}-{run.stop - 1}" if run.stop - run.start > 1 else str(run.start)
        for run in progress.done_ranges
    )


def decode(offset: int, metadata: str, within: range) -> ReplayProgress:
    """Return the progress that a group committed; `within` are the existing offsets.

    Ignore an offset past their end: the topic was deleted and created again. Ignore metadata of
    another format.
    """
    if offset > within.stop:
        return ReplayProgress(within.start)
    ranges = []
    if re.fullmatch(r"(\d{1,19}(-\d{1,19})?(,|$))*", metadata, re.ASCII):
        for run in filter(None, metadata.split(",")):
            first, _, last = run.partition("-")
            ranges.append(range(int(first), min(int(last or first) + 1, within.stop)))
    return _progress(max(offset, within.start), ranges)


def _progress(offset: int, ranges: Iterable[range]) -> ReplayProgress:
    """Return the progress for an offset and ranges, which may overlap, in any order."""
    apart = [range(offset)]
    for run in sorted(filter(None, ranges), key=lambda run: run.start):
        if run.start > apart[-1].stop:
            apart.append(run)
        else:
            apart[-1] = range(apart[-1].start, max(apart[-1].stop, run.stop))
    return ReplayProgress(apart[0].stop, tuple(apart[1:]))
