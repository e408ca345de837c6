"""What a few numbers allow to be said, and how surely."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = 12
T_QUANTILE = 2.228  # of Student's distribution, 97.5%, with BLOCKS - 2 degrees of freedom


def upper_bound(trials: int) -> float:
    """Return the failure rate that 95% of series of so many trials without a failure are below.

    1 - 0.05^(1/n), about 3/n: the "rule of three" (Hanley and Lippman-Hand, JAMA 1983).
    """
    return 1 - 0.05 ** (1 / trials) if trials else 1.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of them is not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, and the least and the greatest value.

    Of n values the true median is between those with a chance of 1 - 2 (1/2)^n, 97% of six.
    """
    return statistics.median(values), min(values), max(values)


def slope(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return how fast values grow, and half the width of the 95% interval, per unit of time.

    A least-squares line through the means of twelve blocks: values that follow one another closely
    are alike, and would make a line through all of them look surer than it is.

    Raises:
        ValueError: There are fewer values than blocks.

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
    left = sum((y - fit.intercept - fit.slope * x) ** 2 for x, y in means)
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    return fit.slope, T_QUANTILE * math.sqrt(left / (BLOCKS - 2) / spread)
