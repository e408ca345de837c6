from __future__ import annotations

import pytest

from tidemill.units import counted, duration, per_second


class TestDuration:
    """Durations are easy to read."""

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (None, "-"),
            (0, "0.0 s"),
            (0.44, "0.4 s"),
            (12.4, "12 s"),
            (59, "59 s"),
            (60, "1 min"),
            (245, "4 min"),
            (3600, "1 h 0 min"),
            (12_000, "3 h 20 min"),
            (86_400 * 2 + 3600 * 5 + 59, "2 d 5 h"),
            (86_400 * 1234, "1,234 d 0 h"),
        ],
    )
    def test_written(self, seconds: float | None, said: str) -> None:
        """A duration has at most two units."""
        assert duration(seconds) == said


class TestRate:
    """Rates are messages per second."""

    @pytest.mark.parametrize(
        ("rate", "said"), [(None, "-"), (0, "0"), (0.25, "0.2"), (9.9, "9.9"), (12345.6, "12,346")]
    )
    def test_written(self, rate: float | None, said: str) -> None:
        """Small rates have a decimal."""
        assert per_second(rate) == said


def test_counted() -> None:
    """One thing has no plural."""
    assert [counted(n, "result") for n in (0, 1, 1234)] == [
        "0 results",
        "1 result",
        "1,234 results",
    ]
