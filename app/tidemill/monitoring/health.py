"""Whether the job lives, and whether it does its work. Pure: time is an argument's value."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Tells those who probe whose health it is: the consumer group, quoted as in URLs.
GROUP_HEADER = "Tidemill-Group"
# The main thread looks at its query five times a second; silence means that it or Java hangs.
PULSE_LIMIT_S = 60.0


class Health:
    """What the job's threads note of its state, and what follows for those who ask.

    Each noted moment is one assignment, so no lock is needed.
    """

    def __init__(self, progress_limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the seconds without progress after which the job is not ready."""
        self._progress_limit = progress_limit
        self._clock = clock
        self._pulse: float | None = None
        self._progress: float | None = None
        self._ended = False

    def beat(self) -> None:
        """Note that the main thread has found the query running."""
        self._pulse = self._clock()

    def progressed(self) -> None:
        """Note that a micro-batch is finished, or that there is nothing to do."""
        self._progress = self._clock()

    def ended(self) -> None:
        """Note that the query runs no more."""
        self._ended = True

    def not_alive(self) -> str | None:
        """Say why a restart is due; None: it is not. A job that starts is alive."""
        if self._ended:
            return "the query has ended"
        if self._pulse is not None and (silent := self._clock() - self._pulse) > PULSE_LIMIT_S:
            return f"the main thread has not seen its query for {silent:.0f} s"
        return None

    def not_ready(self) -> str | None:
        """Say why answers cannot be counted on; None: they can.

        The models are loaded and tried before the query starts, so what has made progress has
        its models.
        """
        if problem := self.not_alive():
            return problem
        if self._pulse is None:
            return "starting: Spark and the models load"
        if self._progress is None:
            return "no micro-batch is finished yet"
        if (silent := self._clock() - self._progress) > self._progress_limit:
            return f"no micro-batch has finished for {silent:.0f} s"
        return None
