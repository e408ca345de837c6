"""How far a partition of dead letters is replayed; pure.

Below `offset` every letter was replayed or passed over; `ahead` are runs of letters from there on
of which the same is true, with letters between them that wait. A consumer group keeps both: the
offset as its own, `ahead` as the commit's metadata, which holds `MAX_METADATA` characters. Before a
letter is sent there is `room` for whatever becomes of it: nothing is sent that could not be noted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Of a broker's offset.metadata.max.bytes (4096 unless changed) with room to spare.
MAX_METADATA = 3500


@dataclass(frozen=True, slots=True)
class Position:
    """The next offset to deal with, and what is dealt with beyond it: apart, in their order."""

    offset: int
    ahead: tuple[range, ...] = ()

    def passed(self, offset: int) -> bool:
        """Tell whether the letter at an offset was replayed or passed over."""
        return offset < self.offset or any(offset in run for run in self.ahead)


def moved(
    position: Position, delivered: Collection[int], *, failed: Collection[int], to_last: bool
) -> Position:
    """Return the position after some letters were delivered.

    `failed` are all letters that this replay sent and did not deliver: they wait. With `to_last`
    whatever else lies before the last delivered letter is passed over; without, nothing is.
    """
    done = [range(at, at + 1) for at in delivered]
    if to_last and delivered:
        last = max(delivered)
        waiting = sorted(at for at in failed if position.offset <= at < last)
        starts = [position.offset, *(at + 1 for at in waiting)]
        done = list(map(range, starts, [*waiting, last + 1]))
    return _position(position.offset, [*position.ahead, *done])


def room(position: Position, offset: int, *, failed: int, to_last: bool) -> int:
    """Return how many letters, up to one at `offset`, may be under way and surely be noted.

    Each of them, and of the `failed` letters of this replay, makes one run more at most. Where none
    failed a choice (`to_last`) always has room for one: delivered, it moves the offset itself.
    """
    longest = 2 * (len(str(offset)) + 1)  # of a run's text: `5-7,`
    left = (MAX_METADATA - len(encode(position))) // longest - failed
    return max(left, 1) if to_last and not failed else max(left, 0)


def encode(position: Position) -> str:
    """Return `ahead` as text: `5,7-9`."""
    return ",".join(
        f"{run.start}-{run.stop - 1}" if run.stop - run.start > 1 else str(run.start)
        for run in position.ahead
    )


def decode(offset: int, metadata: str, within: range) -> Position:
    """Return the position that a group committed; `within` are the offsets that there are now.

    An offset beyond their end is of a topic that was deleted and made anew: it counts no more.
    Metadata that is not of this kind says nothing.
    """
    if offset > within.stop:
        return Position(within.start)
    runs = []
    if re.fullmatch(r"(\d{1,19}(-\d{1,19})?(,|$))*", metadata, re.ASCII):
        for run in filter(None, metadata.split(",")):
            first, _, last = run.partition("-")
            runs.append(range(int(first), min(int(last or first) + 1, within.stop)))
    return _position(max(offset, within.start), runs)


def _position(offset: int, runs: Iterable[range]) -> Position:
    """Return the position of an offset and of runs in any order, which may overlap."""
    apart = [range(offset)]
    for run in sorted(filter(None, runs), key=lambda run: run.start):
        if run.start > apart[-1].stop:
            apart.append(run)
        else:
            apart[-1] = range(apart[-1].start, max(apart[-1].stop, run.stop))
    return Position(apart[0].stop, tuple(apart[1:]))
