from __future__ import annotations

import random

from faults.soak import judge

RNG = random.Random(4)  # noqa: S311 - the same at each run


def samples(growth: float) -> list[dict[str, float]]:
    """Return half an hour of a gauge that grows by so much in an hour, after it has warmed up."""
    return [
        {"seconds": s, "MiB": 400 + min(s, 300) + growth * s / 3600 + RNG.gauss(0, 4)}
        for s in range(0, 1800, 5)
    ]


class TestJudge:
    """A leak is told from a start and from noise."""

    def test_flat(self) -> None:
        """What only grows while it starts is flat."""
        gauge = judge(samples(0))["MiB"]
        assert gauge["flat"]
        assert abs(gauge["level"] - 700) < 5

    def test_leak(self) -> None:
        """What goes on growing is not."""
        gauge = judge(samples(120))["MiB"]
        assert not gauge["flat"]
        assert abs(gauge["an hour"] - 120) < gauge["give or take"] < 40

    def test_little(self) -> None:
        """Growth that is sure and small, over all that was seen, is let pass."""
        assert judge(samples(20))["MiB"]["flat"]
