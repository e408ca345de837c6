"""Log a summary of the answered messages now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.streaming.progress import Progress

log = structlog.get_logger(__name__)

INTERVAL_S = 10.0


class Summary:
    """Sum up micro-batches: at most one line every ten seconds, and none without messages."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty."""
        self._clock = clock
        self._logged_at = float("-inf")
        self._since: list[Progress] = []

    def record(self, progress: Progress) -> None:
        """Add a finished micro-batch."""
        if progress.messages:
            self._since.append(progress)
        if self._clock() - self._logged_at >= INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Log what was not logged yet."""
        if not self._since:
            return
        batches, self._since, self._logged_at = self._since, [], self._clock()
        quantiles = batches[-1].latencies.quantiles
        log.info(
            "answered",
            results=sum(progress.results for progress in batches),
            dead_letters=sum(progress.dead_letters for progress in batches),
            batches=len(batches),
            last=batches[-1].batch,
            latency_p95=f"{quantiles[1]:.3f} s" if quantiles else None,
        )
