"""Statistics with intervals, for few measurements."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = 12
T_QUANTILE = 2.228  # of Student's distribution, 97.5%, with BLOCKS - 2 degrees of freedom


def upper_bound(trials: int) -> float:
    """Return the 95% upper bound of the failure rate after trials without a failure.

    It is 1 - 0.05^(1/n), about 3/n: the "rule of three" (Hanley and Lippman-Hand, JAMA 1983).
    """
    return 1 - 0.05 ** (1 / trials) if trials else 1.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is at least as large as a share of all (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the least and the greatest value.

    With n values the true median lies between the last two with probability 1 - 2 (1/2)^n: 97% for
    six values.
    """
    return statistics.median(values), min(values), max(values)


def slope(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the growth of values per unit of time, and half the width of its 95% interval.

    Fit a least-squares line through the means of twelve blocks. Neighbouring values are correlated,
    so the interval of a line through all of them would be too narrow.

    Raises:
        ValueError: There are too few values.

    """
    size = len(times) // BLOCKS
    if size < 1:
        raise ValueError(f"{len(times)} values are too few for {BLOCKS} blocks")
    means = [
        (
            statistics.fmean(times[start : start + size]),
            statistics.fmean(values[start : start + size]),
        )
        for start in range(len(times) - BLOCKS * size, len(times), size)
    ]
    xs, ys = zip(*means, strict=True)
    fit = statistics.linear_regression(xs, ys)
    residual = sum((y - fit.intercept - fit.slope * x) ** 2 for x, y in means)
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    return fit.slope, T_QUANTILE * math.sqrt(residual / (BLOCKS - 2) / spread)
