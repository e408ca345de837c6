from __future__ import annotations

import random
from collections import Counter

import pytest

from faults.failpoints import POINTS
from faults.kills import Kill, plan, possible

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
        at_least_once = {kill.point for kill in possible("at-least-once", "local")}
        assert at_least_once == {"any time", "in-predict"}
        assert len({kill.point for kill in possible("exactly-once", "local")}) == 10

    @pytest.mark.parametrize("engine", ["local", "cluster"])
    @pytest.mark.parametrize("target", ["member", "server"])
    def test_pool(self, target: str, engine: str) -> None:
        """A pool is killed at work in both modes, and at each point of a transaction."""
        in_model = {Kill(target), Kill(target, "in-predict")}
        assert {kill for kill in possible("at-least-once", engine) if kill.target == target} == (
            in_model
        )
        assert {kill for kill in possible("exactly-once", engine) if kill.target == target} == (
            in_model | {Kill(target, point) for point in POINTS}
        )
        assert not any(kill.restarts for kill in in_model)
