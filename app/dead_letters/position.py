"""How far a partition of dead letters is replayed; pure.

Below `offset` every letter was replayed or passed over; `ahead` are letters from there on that were
replayed already. A consumer group keeps both: the offset as its own, `ahead` as the commit's
metadata, as much of it as fits. What does not fit may be sent a second time, and none is forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# Of a broker's offset.metadata.max.bytes (4096 unless changed) with room to spare.
MAX_METADATA = 3500


@dataclass(frozen=True, slots=True)
class Position:
    """The next offset to deal with, and what is dealt with beyond it."""

    offset: int
    ahead: frozenset[int] = frozenset()

    def passed(self, offset: int) -> bool:
        """Tell whether the letter at an offset was replayed or passed over."""
        return offset < self.offset or offset in self.ahead


def moved(
    position: Position, delivered: Collection[int], *, held: int | None, to_last: bool
) -> Position:
    """Return the position after some letters were delivered.

    `held` is the first letter that was chosen and not delivered: no position goes beyond it. With
    `to_last` the position moves behind the last delivered letter, and so over those before it that
    were looked at and not chosen; without, over none that was not delivered.
    """
    ahead = position.ahead | frozenset(delivered)
    offset = position.offset
    if to_last:
        reached = [at + 1 for at in delivered if held is None or at < held]
        offset = max([offset, *reached])
    while offset in ahead:
        offset += 1
    return Position(offset, frozenset(at for at in ahead if at >= offset))


def encode(position: Position) -> str:
    """Return `ahead` as text: `5,7-9`; the lowest that fit."""
    runs: list[tuple[int, int]] = []
    for at in sorted(position.ahead):
        if runs and runs[-1][1] == at - 1:
            runs[-1] = (runs[-1][0], at)
        else:
            runs.append((at, at))
    text = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return text if len(text) <= MAX_METADATA else text[:MAX_METADATA].rpartition(",")[0]


def decode(offset: int, metadata: str, within: range) -> Position:
    """Return the position that a group committed; `within` are the offsets that there are now.

    An offset beyond their end is of a topic that was deleted and made anew: it counts no more.
    Metadata that is not of this kind says nothing.
    """
    if offset > within.stop:
        return Position(within.start)
    ahead: set[int] = set()
    if re.fullmatch(r"(\d{1,19}(-\d{1,19})?(,|$))*", metadata, re.ASCII):
        for run in filter(None, metadata.split(",")):
            first, _, last = run.partition("-")
            ahead |= {
                *range(max(int(first), within.start), min(int(last or first) + 1, within.stop))
            }
    position = Position(max(offset, within.start), frozenset(ahead))
    return replace(position, ahead=frozenset(at for at in ahead if at >= position.offset))
