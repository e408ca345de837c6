"""Send letters, and commit to the group what became of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tidemill.dead_letters import group
from tidemill.dead_letters.position import moved, room
from tidemill.dead_letters.sender import NO_ANSWER, Sender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.dead_letters.position import Position
    from tidemill.settings import KafkaSettings

CHUNK = 150  # a position has room for so many, at offsets of ten digits too
FULL = (
    "there is no room to note that they are sent, as too many before them wait or were sent by "
    "name (replay those first, or leave them out, as with --since)"
)


class Delivery:
    """Letters on their way, in the order of each partition.

    `failed` counts what was sent and not delivered by what is said of it.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        topic: str,
        positions: Mapping[int, Position],
        *,
        to_last: bool,
    ) -> None:
        """Connect. `to_last` is what `moved` takes."""
        self.failed = Counter[str]()
        self._kafka, self._group, self._topic = kafka, group, topic
        self._positions = dict(positions)
        self._to_last = to_last
        self._waiting = defaultdict[int, set[int]](set)
        self._sender = Sender(kafka)

    def fits(self, letter: DeadLetter) -> bool:
        """Tell whether a letter may be sent; settle before, where a chunk or its room is full."""
        if self._sender.unsettled >= min(CHUNK, self._room(letter)):
            self.settle()
        return self._room(letter) > 0

    def send(self, letter: DeadLetter) -> None:
        """Hand a letter over that fits."""
        self._sender.send(letter)

    def settle(self) -> None:
        """Wait for what is under way, and commit the positions that it moved."""
        outcomes = self._sender.settle()
        self.failed.update(said for said in outcomes.values() if said is not None)
        changed = after(self._positions, outcomes, self._waiting, to_last=self._to_last)
        if changed:
            group.commit(self._kafka, self._group, self._topic, changed)
        self._positions.update(changed)

    @property
    def broken(self) -> bool:
        """Tell whether the broker did not answer."""
        return NO_ANSWER in self.failed

    def _room(self, letter: DeadLetter) -> int:
        return room(
            self._positions[letter.partition],
            letter.offset,
            failed=len(self._waiting[letter.partition]),
            to_last=self._to_last,
        )


def after(
    positions: Mapping[int, Position],
    outcomes: Mapping[tuple[int, int], str | None],
    waiting: defaultdict[int, set[int]],
    *,
    to_last: bool,
) -> dict[int, Position]:
    """Return the positions that a chunk's outcomes move; what was not delivered joins `waiting`."""
    delivered: dict[int, set[int]] = {}
    for (partition, offset), said in outcomes.items():
        (delivered.setdefault(partition, set()) if said is None else waiting[partition]).add(offset)
    moves = {
        p: moved(positions[p], offsets, failed=waiting[p], to_last=to_last)
        for p, offsets in delivered.items()
    }
    return {p: position for p, position in moves.items() if position != positions[p]}
