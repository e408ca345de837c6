"""Rates of results over time."""

from __future__ import annotations

import pytest

from bench.rates import WARM_UP_S, WINDOW_S, NotMeasured, rate, rate_to_end

END = WARM_UP_S + WINDOW_S


class TestRateToEnd:
    def test_steady(self) -> None:
        """Steady results have the rate of the window."""
        times = [second / 10 for second in range(10 * (END + 5))]
        assert rate_to_end(times) == pytest.approx(10, rel=0.01)
        assert rate(times) == pytest.approx(10, rel=0.01)

    def test_warm_up(self) -> None:
        """Results of the warm-up do not count."""
        times = [second / 100 for second in range(100 * WARM_UP_S)]
        times += [WARM_UP_S + second for second in range(1, WINDOW_S + 1)]
        assert rate_to_end(times) == pytest.approx(1, rel=0.01)

    def test_slow_end(self) -> None:
        """A partition that finishes alone lowers the rate, unlike that of the window."""
        times = [second / 10 for second in range(10 * END + 1)]
        times += [END + second / 5 for second in range(1, 5 * WINDOW_S + 1)]
        assert rate(times) == pytest.approx(10, rel=0.01)
        assert rate_to_end(times) == pytest.approx(7.5, rel=0.01)

    def test_too_few(self) -> None:
        """Results that end before the window does are not measured."""
        with pytest.raises(NotMeasured, match="send more"):
            rate_to_end([0.0, END - 1.0])
