"""Hear of every micro-batch: `lastProgress` would skip some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.streaming import StreamingQueryListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql.streaming.listener import (
        QueryProgressEvent,
        QueryStartedEvent,
        QueryTerminatedEvent,
    )


class ProgressListener(StreamingQueryListener):
    """Hand each progress report on, as JSON. Spark waits: the receiver only takes note."""

    def __init__(self, record: Callable[[str], None]) -> None:
        """Take the receiver."""
        super().__init__()
        self._record = record

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        """Pass over a start."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's name
        """Hand on what a finished micro-batch reports."""
        self._record(event.progress.json)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark's name
        """Pass over an end."""
