from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.monitoring.histogram import Histogram

BOUNDS = (0.05, 0.1, 1.0, 30.0, 1200.0)


class TestHistogram:
    """Counts are cumulative by bound."""

    @given(st.lists(st.floats(0, 5000)))
    def test_observed(self, values: list[float]) -> None:
        """Each bucket counts the values up to its bound; the last one counts all."""
        histogram = Histogram(BOUNDS)
        for value in values:
            histogram.observe(value)
        for (bound, count), limit in zip(histogram.buckets(), [*BOUNDS, float("inf")], strict=True):
            assert float(bound) == limit
            assert count == sum(value <= limit for value in values)
