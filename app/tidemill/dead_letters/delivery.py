"""Send letters, and commit their outcomes to the replay group."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tidemill.dead_letters import group
from tidemill.dead_letters.position import advance, capacity
from tidemill.dead_letters.sender import NO_ANSWER, Sender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.dead_letters.position import ReplayProgress
    from tidemill.settings import KafkaSettings

CHUNK = 150  # the metadata holds so many ranges, even with offsets of ten digits
FULL = (
    "replay progress is full: too many earlier letters wait or were sent by name (replay those "
    "first, or narrow the selection with --since)"
)


class Delivery:
    """Letters in flight, in the order of each partition.

    `failed` counts the letters that were sent but not delivered, by reason.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        topic: str,
        positions: Mapping[int, ReplayProgress],
        *,
        skip_unselected: bool,
    ) -> None:
        """Connect. `skip_unselected` is passed to `advance`."""
        self.failed = Counter[str]()
        self._kafka, self._group, self._topic = kafka, group, topic
        self._positions = dict(positions)
        self._skip_unselected = skip_unselected
        self._waiting = defaultdict[int, set[int]](set)
        self._sender = Sender(kafka)

    def fits(self, letter: DeadLetter) -> bool:
        """Tell whether a letter may be sent; flush first if a chunk or the capacity is full."""
        if self._sender.in_flight >= min(CHUNK, self._capacity(letter)):
            self.flush()
        return self._capacity(letter) > 0

    def send(self, letter: DeadLetter) -> None:
        """Send a letter that fits."""
        self._sender.send(letter)

    def flush(self) -> None:
        """Wait for the letters in flight, and commit the progress that they made."""
        outcomes = self._sender.flush()
        self.failed.update(reason for reason in outcomes.values() if reason is not None)
        changed = apply_outcomes(
            self._positions, outcomes, self._waiting, skip_unselected=self._skip_unselected
        )
        if changed:
            group.commit(self._kafka, self._group, self._topic, changed)
        self._positions.update(changed)

    @property
    def is_broken(self) -> bool:
        """Tell whether the broker did not answer."""
        return NO_ANSWER in self.failed

    def _capacity(self, letter: DeadLetter) -> int:
        return capacity(
            self._positions[letter.partition],
            letter.offset,
            failed=len(self._waiting[letter.partition]),
            skip_unselected=self._skip_unselected,
        )


def apply_outcomes(
    positions: Mapping[int, ReplayProgress],
    outcomes: Mapping[tuple[int, int], str | None],
    waiting: defaultdict[int, set[int]],
    *,
    skip_unselected: bool,
) -> dict[int, ReplayProgress]:
    """Return the progress that a chunk's outcomes make; undelivered letters join `waiting`."""
    delivered: dict[int, set[int]] = {}
    for (partition, offset), reason in outcomes.items():
        (delivered.setdefault(partition, set()) if reason is None else waiting[partition]).add(
            offset
        )
    advanced = {
        p: advance(positions[p], offsets, failed=waiting[p], skip_unselected=skip_unselected)
        for p, offsets in delivered.items()
    }
    return {p: position for p, position in advanced.items() if position != positions[p]}
