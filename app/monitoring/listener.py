"""Hear of every micro-batch: `lastProgress` would skip some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from pyspark.sql.streaming import StreamingQueryListener

from app.monitoring import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql.streaming.listener import (
        QueryIdleEvent,
        QueryProgressEvent,
        QueryStartedEvent,
        QueryTerminatedEvent,
    )

    from app.monitoring.progress import Progress

log = structlog.get_logger(__name__)


class ProgressListener(StreamingQueryListener):
    """Hand on each finished micro-batch, and each word of having nothing to do.

    Spark waits meanwhile: the receivers only take note.
    """

    def __init__(
        self, record: Callable[[Progress], None], idle: Callable[[], None] = lambda: None
    ) -> None:
        """Take the receivers."""
        super().__init__()
        self._record = record
        self._idle = idle

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        """Pass over a start."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's name
        """Hand on what a finished micro-batch reports."""
        try:
            self._record(progress.read(event.progress.json))
        except Exception as error:
            # Spark would swallow it.
            log.exception("a progress report was not understood", error=repr(error))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: ARG002, N802 - Spark's
        """Hand on that there is nothing to do; Spark says so every ten seconds."""
        self._idle()

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark's name
        """Pass over an end."""
