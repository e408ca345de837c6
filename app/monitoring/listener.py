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
    """Hand on each finished micro-batch, and each word of having nothing to do, of one query.

    Spark waits meanwhile: the receivers only take note.
    """

    def __init__(
        self, name: str, record: Callable[[Progress], None], idle: Callable[[], None] = lambda: None
    ) -> None:
        """Take the query's name and the receivers; others may run in the same session."""
        super().__init__()
        self._name = name
        self._record = record
        self._idle = idle
        self._run_id: object = None

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        """Take note of the run, which is all that some events tell; before the query's start."""
        if event.name == self._name:
            self._run_id = event.runId

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's name
        """Hand on what a finished micro-batch reports."""
        if event.progress.runId != self._run_id:
            return
        try:
            self._record(progress.read(event.progress.json))
        except Exception as error:
            # Spark would swallow it.
            log.exception("a progress report was not understood", error=repr(error))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802 - Spark's name
        """Hand on that there is nothing to do; Spark says so every ten seconds."""
        if event.runId == self._run_id:
            self._idle()

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark's name
        """Pass over an end."""
