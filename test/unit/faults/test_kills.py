from __future__ import annotations

import random
from collections import Counter

import pytest

from faults.kills import plan, possible

RNG = random.Random(1)  # noqa: S311 - the same at each run


class TestPlan:
    """Strikes are spread over all that is possible."""

    @pytest.mark.parametrize("mode", ["exactly-once", "at-least-once"])
    @pytest.mark.parametrize("engine", ["local", "cluster"])
    def test_least_tried_first(self, mode: str, engine: str) -> None:
        """No kind of strike is planned again while another of its class was planned less."""
        tried: Counter = Counter()
        strikes = plan(mode, engine, 100, 0.5, tried, RNG)
        assert len(strikes) == 100
        assert sum(strike.restarts for strike in strikes) == 50
        assert set(strikes) == set(possible(mode, engine))
        for restarts in (True, False):
            counts = [tried[strike] for strike in tried if strike.restarts is restarts]
            assert max(counts) - min(counts) <= 1

    def test_transactions_only(self) -> None:
        """The points of a transaction are for exactly-once."""
        assert {strike.point for strike in possible("at-least-once", "local")} == {"any time"}
        assert len({strike.point for strike in possible("exactly-once", "local")}) == 9
