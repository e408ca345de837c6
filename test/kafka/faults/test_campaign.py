"""A short campaign of `make faults`: a kill at each point of a transaction, and in a model."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

import pytest

from faults.campaign import make_pipeline
from faults.failpoints import AFTER_LAST_COMMIT, IN_PREDICT, POINTS
from faults.kills import POOL, Kill
from faults.rounds import Round

if TYPE_CHECKING:
    from pathlib import Path

    from dev.kafka.broker import Broker

KILLS = [
    *(Kill("worker", point) for point in POINTS),
    *(Kill(target, IN_PREDICT) for target in POOL),
    Kill("group", AFTER_LAST_COMMIT),
]


class TestExactlyOnce:
    """Each message has one outcome, whichever process is killed at whichever point."""

    @pytest.mark.timeout(1800)
    def test_killed_at_every_point(self, broker: Broker, tmp_path: Path) -> None:
        """Nothing is lost, repeated, reordered or changed; the group's offset is never ahead."""
        pipeline = make_pipeline(broker, tmp_path / uuid.uuid4().hex[:8])
        rng = random.Random(5)  # noqa: S311 - the same messages at each run
        found = Round(pipeline, "exactly-once", "local", rng).run(KILLS)
        assert [(kill.target, kill.point) for kill in found.kills] == [
            (kill.target, kill.point) for kill in KILLS
        ]
        assert found.unexpected == []
        assert found.verdict is not None
        assert found.verdict.faults == {}, str(found.verdict)
        assert found.ahead == []
        assert found.samples > 10 * len(KILLS)
