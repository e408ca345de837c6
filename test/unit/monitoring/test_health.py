from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.monitoring.health import PULSE_LIMIT_S, Health

if TYPE_CHECKING:
    from clock import Clock


@pytest.fixture
def health(clock: Clock) -> Health:
    """A job that has just begun, and may take 300 s for a micro-batch."""
    return Health(300, clock)


class TestStart:
    """A job that starts is alive, and not ready."""

    def test_at_first(self, health: Health, clock: Clock) -> None:
        """However long Spark and the models take."""
        clock.now += 10_000
        assert health.liveness_problem() is None
        assert health.readiness_problem() == "starting: Spark and the models load"

    def test_first_micro_batch(self, health: Health) -> None:
        """It is not ready before a micro-batch is finished."""
        health.heartbeat()
        assert health.liveness_problem() is None
        assert health.readiness_problem() == "no micro-batch is finished yet"

    def test_ready(self, health: Health) -> None:
        """Then it is."""
        health.heartbeat()
        health.progressed()
        assert health.readiness_problem() is None


class TestTrouble:
    """What is wrong is said."""

    @pytest.fixture(autouse=True)
    def _running(self, health: Health) -> None:
        health.heartbeat()
        health.progressed()

    def test_no_progress(self, health: Health, clock: Clock) -> None:
        """A micro-batch that does not end makes the job unready, not dead."""
        clock.now += 301
        health.heartbeat()
        assert health.liveness_problem() is None
        assert health.readiness_problem() == "no micro-batch has finished for 301 s"
        health.progressed()
        assert health.readiness_problem() is None

    def test_within_the_limit(self, health: Health, clock: Clock) -> None:
        """One that takes as long as it may does not."""
        clock.now += 300
        health.heartbeat()
        assert health.readiness_problem() is None

    def test_hangs(self, health: Health, clock: Clock) -> None:
        """A main thread that is silent is dead, whatever progress was heard of."""
        clock.now += PULSE_LIMIT_S + 1
        health.progressed()
        assert health.liveness_problem() == health.readiness_problem()
        assert health.liveness_problem() == "the main thread has not seen its query for 61 s"
        health.heartbeat()
        assert health.liveness_problem() is None

    def test_ended(self, health: Health) -> None:
        """A query that has ended is dead."""
        health.ended()
        assert health.liveness_problem() == health.readiness_problem() == "the query has ended"
