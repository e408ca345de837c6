from __future__ import annotations

import random

import pytest

from faults.leaks import assess


def samples(growth: float) -> list[dict[str, float]]:
    """Return half an hour of a gauge that grows by `growth` an hour after it has warmed up."""
    rng = random.Random(4)  # noqa: S311 - the same for each test
    return [
        {"seconds": s, "MiB": 400 + min(s, 300) + growth * s / 3600 + rng.gauss(0, 4)}
        for s in range(0, 1800, 5)
    ]


class TestAssess:
    """A leak is distinguished from warming up and from noise."""

    def test_flat(self) -> None:
        """A gauge that grows only while the job warms up is flat."""
        gauge = assess(samples(0))["MiB"]
        assert gauge["flat"]
        assert abs(gauge["level"] - 700) < 5

    def test_leak(self) -> None:
        """A gauge that keeps growing is not flat."""
        gauge = assess(samples(120))["MiB"]
        assert not gauge["flat"]
        assert abs(gauge["growth_per_hour"] - 120) < gauge["margin"] < 40

    @pytest.mark.parametrize("count", [3, 5])
    def test_pool(self, count: int) -> None:
        """The number of processes in the pool is flat only if it never changes."""
        same = [{"seconds": s, "pool processes": 4.0} for s in range(0, 1800, 5)]
        assert assess(same)["pool processes"]["flat"]
        assert not assess([*same[:-1], {**same[-1], "pool processes": count}])["pool processes"][
            "flat"
        ]

    def test_small_growth(self) -> None:
        """A gauge is flat if its growth is certain but small."""
        assert assess(samples(20))["MiB"]["flat"]
