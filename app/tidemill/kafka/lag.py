"""A consumer group's lag at one moment, and its trend between two (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """A group's position in a partition, in offsets.

    Attributes:
        begin: The oldest offset that exists.
        end: The next offset to be written; with `read_committed`, the first unreadable one.
        committed: The group's committed offset, the next to answer; None if there is none.
        age: Seconds since the oldest unanswered message was sent; None if unknown or nothing waits.
        held_back: Messages from `end` on that a producer's open transaction holds back.
        held_for: Seconds since the first of them was sent; None if unknown or there is none.

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
        """The number of unanswered messages; all of them if nothing was committed."""
        return max(0, self.end - (self.begin if self.committed is None else self.committed))

    @property
    def oldest(self) -> int:
        """The offset of the first unanswered message."""
        return max(self.begin, self.committed or 0)

    @property
    def expired(self) -> int:
        """The number of messages that Kafka removed before they were answered."""
        return 0 if self.committed is None else max(0, self.begin - self.committed)

    @property
    def past_end(self) -> int:
        """How far the committed offset lies past the end, as after a topic was recreated."""
        return 0 if self.committed is None else max(0, self.committed - self.end)


@dataclass(frozen=True, slots=True)
class LagSnapshot:
    """The lag of all partitions at one time, in seconds since the epoch."""

    time: float
    partitions: tuple[PartitionLag, ...]

    @property
    def age(self) -> float | None:
        """Seconds since the oldest unanswered message was sent; None if unknown."""
        return max((p.age for p in self.partitions if p.age is not None), default=None)

    @property
    def held_back(self) -> int:
        """The number of messages that open transactions hold back."""
        return sum(p.held_back for p in self.partitions)

    @property
    def held_for(self) -> float | None:
        """Seconds since the first held-back message was sent; None if unknown."""
        return max((p.held_for for p in self.partitions if p.held_for is not None), default=None)


@dataclass(frozen=True, slots=True)
class LagTrend:
    """A lag in messages, with its rates in messages per second (None if unknown)."""

    lag: int
    rate: float | None = None
    arriving: float | None = None

    @property
    def catch_up(self) -> float | None:
        """Seconds until the lag is zero; None if unknown, or if the lag does not shrink."""
        if not self.lag:
            return 0.0
        if self.rate is None or self.arriving is None or self.rate <= self.arriving:
            return None
        return self.lag / (self.rate - self.arriving)


def trends(now: LagSnapshot, then: LagSnapshot | None) -> list[LagTrend]:
    """Return each partition's trend since an earlier snapshot, in the order of `now`.

    A rate is None if the partition is new or recreated, or if its offset was set back.
    """
    earlier = {(p.topic, p.partition): p for p in then.partitions} if then else {}
    seconds = now.time - then.time if then else 0.0
    result = []
    for p in now.partitions:
        before = earlier.get((p.topic, p.partition))
        rate = arriving = None
        if before is not None:
            rate = _per_second(before.committed, p.committed, seconds)
            arriving = _per_second(before.end, p.end, seconds)
        result.append(LagTrend(p.lag, rate, arriving))
    return result


def total(each: Collection[LagTrend]) -> LagTrend:
    """Return the sum of all partitions' trends, as far as they are known."""
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
