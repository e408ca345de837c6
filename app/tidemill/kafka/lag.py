"""How far a consumer group is at a moment, and how that moves between two: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far a group is in a partition, in offsets.

    Attributes:
        begin: The oldest that is there.
        end: The next that comes; under `read_committed`, the first that may not be read yet.
        committed: The next to answer, as the group tells; None: it never told.
        age: Seconds that the oldest unanswered message has waited; None: not known, or there is
            none.
        held_back: How many messages follow `end`, because of a producer's open transaction.
        held_for: Seconds since the first of them was sent; None: not known, or there is none.

    """

    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None
    age: float | None = None
    held_back: int = 0
    held_for: float | None = None

    @property
    def lag(self) -> int:
        """How many messages wait; all there are where nothing was committed."""
        return max(0, self.end - (self.begin if self.committed is None else self.committed))

    @property
    def oldest(self) -> int:
        """The offset at which the messages that wait begin."""
        return max(self.begin, self.committed or 0)

    @property
    def passed_over(self) -> int:
        """How many messages were removed before they were answered."""
        return 0 if self.committed is None else max(0, self.begin - self.committed)

    @property
    def beyond(self) -> int:
        """How far the group is beyond the end, as where a topic was made anew."""
        return 0 if self.committed is None else max(0, self.committed - self.end)


@dataclass(frozen=True, slots=True)
class LagSnapshot:
    """All partitions at a moment, in seconds since the epoch."""

    time: float
    partitions: tuple[PartitionLag, ...]

    @property
    def age(self) -> float | None:
        """Seconds that the oldest unanswered message has waited; None: not known."""
        return max((p.age for p in self.partitions if p.age is not None), default=None)

    @property
    def held_back(self) -> int:
        """How many messages open transactions hold back."""
        return sum(p.held_back for p in self.partitions)

    @property
    def held_for(self) -> float | None:
        """Seconds since the oldest of these messages was sent; None: not known."""
        return max((p.held_for for p in self.partitions if p.held_for is not None), default=None)


@dataclass(frozen=True, slots=True)
class LagTrend:
    """A lag in messages, and how it moves in messages a second (None: not known)."""

    lag: int
    rate: float | None = None
    arriving: float | None = None

    @property
    def catch_up(self) -> float | None:
        """Seconds until nothing waits; None: not known, or it does not come to that."""
        if not self.lag:
            return 0.0
        if self.rate is None or self.arriving is None or self.rate <= self.arriving:
            return None
        return self.lag / (self.rate - self.arriving)


def trends(now: LagSnapshot, then: LagSnapshot | None) -> list[LagTrend]:
    """Return how each partition moved since an earlier snapshot, in the order of the newer.

    What cannot be told is None: of a partition that is new or made anew, or an offset set back.
    """
    earlier = {(p.topic, p.partition): p for p in then.partitions} if then else {}
    seconds = now.time - then.time if then else 0.0
    found = []
    for p in now.partitions:
        before = earlier.get((p.topic, p.partition))
        rate = arriving = None
        if before is not None:
            rate = _per_second(before.committed, p.committed, seconds)
            arriving = _per_second(before.end, p.end, seconds)
        found.append(LagTrend(p.lag, rate, arriving))
    return found


def total(each: Collection[LagTrend]) -> LagTrend:
    """Return how all partitions move together, as far as it is known of each."""
    rates = [trend.rate for trend in each if trend.rate is not None]
    arriving = [trend.arriving for trend in each if trend.arriving is not None]
    return LagTrend(
        sum(trend.lag for trend in each),
        sum(rates) if rates else None,
        sum(arriving) if arriving else None,
    )


def _per_second(before: int | None, after: int | None, seconds: float) -> float | None:
    if before is None or after is None or after < before or seconds <= 0:
        return None
    return (after - before) / seconds
