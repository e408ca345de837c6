"""Decide whether the job is alive and ready (pure: the clock is an argument)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A response header with the job's consumer group, URL-quoted, so that probes know whom they reach.
GROUP_HEADER = "Tidemill-Group"
# The main thread polls its query five times a second; silence means that it or the JVM hangs.
PULSE_LIMIT_S = 60.0


class Health:
    """The state that the job's threads record, and what it means for probes.

    Each record is a single assignment, so it needs no lock.
    """

    def __init__(self, progress_limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the seconds without progress after which the job is not ready."""
        self._progress_limit = progress_limit
        self._clock = clock
        self._pulse: float | None = None
        self._progress: float | None = None
        self._ended = False

    def heartbeat(self) -> None:
        """Record that the main thread saw the query running."""
        self._pulse = self._clock()

    def progressed(self) -> None:
        """Record that a micro-batch finished, or that there was nothing to do."""
        self._progress = self._clock()

    def ended(self) -> None:
        """Record that the query has ended."""
        self._ended = True

    def liveness_problem(self) -> str | None:
        """Return the reason for a restart, or None. A starting job is alive."""
        if self._ended:
            return "the query has ended"
        if self._pulse is not None and (silent := self._clock() - self._pulse) > PULSE_LIMIT_S:
            return f"the main thread has not seen its query for {silent:.0f} s"
        return None

    def readiness_problem(self) -> str | None:
        """Return the reason why the job is not ready, or None.

        The models are loaded and tried before the query starts, so a query that made progress has
        its models.
        """
        if problem := self.liveness_problem():
            return problem
        if self._pulse is None:
            return "starting: loading Spark and the models"
        if self._progress is None:
            return "no micro-batch has finished yet"
        if (silent := self._clock() - self._progress) > self._progress_limit:
            return f"no micro-batch has finished for {silent:.0f} s"
        return None
