from __future__ import annotations

import random

import pytest

from faults.figures import median_interval, percentile, slope, upper_bound

RNG = random.Random(3)  # noqa: S311 - reproducible


class TestUpperBound:
    """Trials without a failure bound the failure rate."""

    @pytest.mark.parametrize(
        ("trials", "bound"), [(0, 1.0), (1, 0.95), (100, 0.0295), (300, 0.00994)]
    )
    def test_rule_of_three(self, trials: int, bound: float) -> None:
        """The bound is about three divided by the number of trials."""
        assert upper_bound(trials) == pytest.approx(bound, rel=0.01)


class TestPercentile:
    """A percentile is always one of the values."""

    @pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 5), (0.95, 10), (1.0, 10)])
    def test_nearest_rank(self, share: float, value: float) -> None:
        """That share of the values is not above it."""
        assert percentile([10, *range(1, 10)], share) == value


class TestMedianInterval:
    """The median comes with an interval that holds the true one."""

    def test_of_six(self) -> None:
        """It returns the median, the least and the greatest value."""
        assert median_interval([1.0, 0.9, 0.95, 0.97, 0.93, 0.99]) == (0.96, 0.9, 1.0)


class TestSlope:
    """Growth comes with an interval that separates it from noise."""

    def test_growth(self) -> None:
        """Growth in noisy values is found."""
        values = [100 + 0.5 * t + RNG.gauss(0, 3) for t in range(180)]
        growth, half = slope(range(180), values)
        assert abs(growth - 0.5) < half < 0.1

    def test_flat(self) -> None:
        """The interval of noise around a level contains zero."""
        growth, half = slope(range(180), [100 + RNG.gauss(0, 3) for _ in range(180)])
        assert abs(growth) < half

    def test_too_few(self) -> None:
        """Fewer values than blocks are refused."""
        with pytest.raises(ValueError, match="too few"):
            slope([1, 2], [1, 2])
