from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from faults.kills import plan, possible

if TYPE_CHECKING:
    from faults.kills import Kill

RNG = random.Random(1)  # noqa: S311 - reproducible


class TestPlan:
    """Kills are spread evenly over all that are possible."""

    @pytest.mark.parametrize("mode", ["exactly-once", "at-least-once"])
    @pytest.mark.parametrize("engine", ["local", "cluster"])
    def test_least_tried_first(self, mode: str, engine: str) -> None:
        """No kill is planned again while another of its class was planned less often."""
        tried: Counter[Kill] = Counter()
        kills = plan(mode, engine, 100, 0.5, tried, RNG)
        assert len(kills) == 100
        assert sum(kill.restarts for kill in kills) == 50
        assert set(kills) == set(possible(mode, engine))
        for restarts in (True, False):
            counts = [tried[kill] for kill in tried if kill.restarts is restarts]
            assert max(counts) - min(counts) <= 1

    def test_transactions_only(self) -> None:
        """Only exactly-once jobs are killed at the points of a transaction."""
        assert {kill.point for kill in possible("at-least-once", "local")} == {"any time"}
        assert len({kill.point for kill in possible("exactly-once", "local")}) == 9
