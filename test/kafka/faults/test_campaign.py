"""A short campaign of `make faults`: a kill at each point of a transaction."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

import pytest

from faults.campaign import make_pipeline
from faults.failpoints import LAST, POINTS
from faults.kills import Strike
from faults.rounds import Round

if TYPE_CHECKING:
    from pathlib import Path

    from dev.kafka.broker import Broker

STRIKES = [*(Strike("worker", point) for point in POINTS), Strike("group", LAST)]


class TestExactlyOnce:
    """Each message has one outcome, whichever process is killed at whichever point."""

    @pytest.mark.timeout(1800)
    def test_killed_at_every_point(self, broker: Broker, tmp_path: Path) -> None:
        """Nothing is lost, repeated, reordered or changed; the group's offset is never ahead."""
        pipeline = make_pipeline(broker, tmp_path / uuid.uuid4().hex[:8])
        rng = random.Random(5)  # noqa: S311 - the same messages in each run
        result = Round(pipeline, "exactly-once", "local", rng).run(STRIKES)
        assert [(kill.victim, kill.point) for kill in result.kills] == [
            (strike.victim, strike.point) for strike in STRIKES
        ]
        assert result.ended == []
        assert result.verdict is not None
        assert result.verdict.faults == {}, str(result.verdict)
        assert result.ahead == []
        assert result.samples > 10 * len(STRIKES)
