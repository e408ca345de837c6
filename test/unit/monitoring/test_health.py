from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.monitoring.health import PULSE_LIMIT_S, Health

if TYPE_CHECKING:
    from clock import Clock


@pytest.fixture
def health(clock: Clock) -> Health:
    """A job that has just started, and may take 300 s for a micro-batch."""
    return Health(300, clock)


class TestStart:
    """A starting job is alive, but not ready."""

    def test_at_first(self, health: Health, clock: Clock) -> None:
        """It stays so, however long Spark and the models take to load."""
        clock.now += 10_000
        assert health.liveness_problem() is None
        assert health.readiness_problem() == "starting: loading Spark and the models"

    def test_first_micro_batch(self, health: Health) -> None:
        """The job is not ready before a micro-batch has finished."""
        health.heartbeat()
        assert health.liveness_problem() is None
        assert health.readiness_problem() == "no micro-batch has finished yet"

    def test_ready(self, health: Health) -> None:
        """It is ready once a micro-batch has finished."""
        health.heartbeat()
        health.progressed()
        assert health.readiness_problem() is None


class TestTrouble:
    """A problem is reported with its reason."""

    @pytest.fixture(autouse=True)
    def _running(self, health: Health) -> None:
        health.heartbeat()
        health.progressed()

    def test_no_progress(self, health: Health, clock: Clock) -> None:
        """A micro-batch that does not end makes the job unready, but not dead."""
        clock.now += 301
        health.heartbeat()
        assert health.liveness_problem() is None
        assert health.readiness_problem() == "no micro-batch has finished for 301 s"
        health.progressed()
        assert health.readiness_problem() is None

    def test_within_the_limit(self, health: Health, clock: Clock) -> None:
        """A micro-batch that takes exactly the limit leaves the job ready."""
        clock.now += 300
        health.heartbeat()
        assert health.readiness_problem() is None

    def test_hangs(self, health: Health, clock: Clock) -> None:
        """A silent main thread makes the job dead, even if there was progress."""
        clock.now += PULSE_LIMIT_S + 1
        health.progressed()
        assert health.liveness_problem() == health.readiness_problem()
        assert health.liveness_problem() == "the main thread has not seen its query for 61 s"
        health.heartbeat()
        assert health.liveness_problem() is None

    def test_ended(self, health: Health) -> None:
        """A job whose query has ended is dead."""
        health.ended()
        assert health.liveness_problem() == health.readiness_problem() == "the query has ended"
