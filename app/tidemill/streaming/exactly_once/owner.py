"""Who writes for a partition, from which message on: the protocol, without Kafka.

A ledger is a partition's transactional producer. Taking one fences all that were taken before it;
what it commits, outcomes and next offset, is there at once or not at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tidemill.errors import GroupOffsetsChanged, TidemillError, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.streaming.exactly_once.position import Partition

# Each has a thread for every broker, with 8 MiB of addresses.
MOST_LEDGERS = 8

Row = TypeVar("Row")
Given_contra = TypeVar("Given_contra", contravariant=True)


class Ledger(Protocol[Given_contra]):
    """One partition's outcomes and its offset, in transactions."""

    def commit(self, rows: Sequence[Given_contra], following: int) -> None:
        """Write all rows, and that the next message to answer is `following`, or nothing.

        Raises:
            TransactionFailed: It is fenced, or cannot tell what came of it.
            TidemillError: The offset is not the one that this ledger left; nothing is written.

        """

    def close(self) -> None:
        """Give it up; what it has not committed will never be seen."""


class Owner(Generic[Row]):
    """Deliver the outcomes of every message once, whatever is asked for twice.

    Ledgers are kept while they work. One that fails may have committed or not, and may be fenced:
    it is closed, and a new one tells how far the partition is.
    """

    def __init__(
        self,
        take: Callable[[Partition], tuple[Ledger[Row], int]],
        most: int = MOST_LEDGERS,
    ) -> None:
        """Take what gives a new ledger and the next offset to answer, and how many to keep."""
        self._take = take
        self._most = most
        self._kept: OrderedDict[Partition, tuple[Ledger[Row], int]] = OrderedDict()

    def deliver(
        self, at: Partition, offsets: Sequence[int], answer: Callable[[int], list[Row]]
    ) -> list[Row]:
        """Answer those of a run of messages that are due, commit, and return their outcomes.

        `offsets` ascend and leave no message out; `answer(first)` gives the outcomes of the
        messages from the one at index `first` on.

        Raises:
            TransactionFailed: It failed twice, the second time with a ledger taken for this.
            GroupOffsetsChanged, GroupOffsetLost, Superseded: Something else has set the partition's
                offset.

        """
        answered: list[Row] | None = None
        first = 0
        for tries_left in (1, 0):
            ledger, due = self._own(at)
            if answered is None:
                first = bisect_left(offsets, due)
                answered = answer(first) if first < len(offsets) else []
            elif first and due <= offsets[first - 1]:
                raise GroupOffsetsChanged(at, due)
            rows = answered[bisect_left(offsets, due) - first :]
            if not rows:
                break
            try:
                ledger.commit(rows, offsets[-1] + 1)
            except TransactionFailed:
                self.give_up(at)
                if not tries_left:
                    raise  # Spark decides whether, and where, it is tried again
            except TidemillError:
                self.give_up(at)
                raise
            else:
                self._kept[at] = ledger, offsets[-1] + 1
                return rows
        return []

    def give_up(self, at: Partition) -> None:
        """Close a partition's ledger."""
        ledger, _ = self._kept.pop(at)
        ledger.close()

    def close(self) -> None:
        """Close all ledgers."""
        for at in list(self._kept):
            self.give_up(at)

    def _own(self, at: Partition) -> tuple[Ledger[Row], int]:
        if at not in self._kept:
            while len(self._kept) >= self._most:
                self.give_up(next(iter(self._kept)))
            self._kept[at] = self._take(at)
        self._kept.move_to_end(at)
        return self._kept[at]
