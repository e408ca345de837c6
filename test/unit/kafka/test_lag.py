from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.kafka.lag import LagSnapshot, LagTrend, PartitionLag, total, trends


def partition(
    begin: int, end: int, committed: int | None, *, number: int = 0, age: float | None = None
) -> PartitionLag:
    """Return the lag of one partition."""
    return PartitionLag("t", number, begin, end, committed, age)


class TestLag:
    """The lag is the number of unanswered messages."""

    @pytest.mark.parametrize(
        ("partition_lag", "lag", "expired", "past_end", "oldest"),
        [
            (partition(0, 10, 4), 6, 0, 0, 4),
            (partition(0, 10, 10), 0, 0, 0, 10),
            (partition(5, 10, 5), 5, 0, 0, 5),
            (partition(5, 10, None), 5, 0, 0, 5),
            (partition(0, 0, None), 0, 0, 0, 0),
            (partition(7, 10, 4), 6, 3, 0, 7),
            (partition(0, 10, 12), 0, 0, 2, 12),
        ],
    )
    def test_offsets(
        self, partition_lag: PartitionLag, lag: int, expired: int, past_end: int, oldest: int
    ) -> None:
        """It counts from the committed or the oldest offset to the end."""
        p = partition_lag
        assert (p.lag, p.expired, p.past_end, p.oldest) == (lag, expired, past_end, oldest)

    def test_age(self) -> None:
        """The age is that of the oldest message, or unknown."""
        known = [partition(0, 2, 1, age=age) for age in (3.0, None, 9.0)]
        assert LagSnapshot(0, tuple(known)).age == 9
        assert LagSnapshot(0, (known[1],)).age is None
        assert LagSnapshot(0, ()).age is None


class TestTrend:
    """A trend compares two snapshots."""

    def moved(self, then: PartitionLag, now: PartitionLag, seconds: float = 10) -> LagTrend:
        """Return the trend of a partition."""
        (trend,) = trends(LagSnapshot(100 + seconds, (now,)), LagSnapshot(100, (then,)))
        return trend

    def test_rates(self) -> None:
        """It has the rates of arriving and of answered messages."""
        trend = self.moved(partition(0, 100, 50), partition(0, 120, 100))
        assert trend == LagTrend(20, rate=5, arriving=2)

    @pytest.mark.parametrize(
        ("then", "now", "rate", "arriving"),
        [
            (partition(0, 10, None), partition(0, 20, 5), None, 1),
            (partition(0, 10, 5), partition(0, 20, None), None, 1),
            (partition(0, 10, 5), partition(0, 20, 2), None, 1),
            (partition(0, 90, 80), partition(0, 20, 85), 0.5, None),
            (partition(0, 90, 80, number=1), partition(0, 20, 10), None, None),
        ],
        ids=["first commit", "forgotten", "set back", "made anew", "new partition"],
    )
    def test_unknown(
        self, then: PartitionLag, now: PartitionLag, rate: float | None, arriving: float | None
    ) -> None:
        """A rate that cannot be computed is None."""
        trend = self.moved(then, now)
        assert (trend.rate, trend.arriving) == (rate, arriving)

    @pytest.mark.parametrize("seconds", [0, -5])
    def test_no_time_between(self, seconds: float) -> None:
        """Rates are None if no time has passed, or the clock was set back."""
        assert self.moved(partition(0, 10, 5), partition(0, 20, 9), seconds) == LagTrend(11)

    def test_one_snapshot(self) -> None:
        """Rates are None with a single snapshot."""
        assert trends(LagSnapshot(0, (partition(0, 10, 5),)), None) == [LagTrend(5)]


class TestCatchUp:
    """A trend predicts when the lag will be zero."""

    @pytest.mark.parametrize(
        ("trend", "seconds"),
        [
            (LagTrend(0), 0),
            (LagTrend(0, rate=1, arriving=5), 0),
            (LagTrend(120, rate=50, arriving=20), 4),
            (LagTrend(120, rate=20, arriving=20), None),
            (LagTrend(120, rate=20, arriving=21), None),
            (LagTrend(120, rate=0, arriving=0), None),
            (LagTrend(120, rate=None, arriving=0), None),
            (LagTrend(120, rate=5, arriving=None), None),
        ],
    )
    def test_seconds(self, trend: LagTrend, seconds: float | None) -> None:
        """The prediction divides the lag by the surplus of answers, if there is one."""
        assert trend.catch_up == seconds

    @given(
        st.integers(1, 10**12),
        st.floats(0, 1e6, allow_nan=False),
        st.floats(0, 1e6, allow_nan=False),
    )
    def test_never_negative(self, lag: int, rate: float, arriving: float) -> None:
        """A prediction is never negative."""
        seconds = LagTrend(lag, rate, arriving).catch_up
        assert (seconds is None) == (rate <= arriving)
        assert seconds is None or seconds > 0


class TestTotal:
    """The total covers all partitions."""

    def test_sums(self) -> None:
        """It adds the known values."""
        assert total([LagTrend(5, 1, 2), LagTrend(7, None, 3), LagTrend(0, 4, None)]) == LagTrend(
            12, 5, 5
        )

    def test_nothing_known(self) -> None:
        """Without a known rate, the total is unknown, not 0."""
        assert total([LagTrend(5), LagTrend(7)]) == LagTrend(12)
        assert total([]) == LagTrend(0)
