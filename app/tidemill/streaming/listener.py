"""Hear of every micro-batch: `lastProgress` would skip some."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from pyspark import SparkContext
from pyspark.sql.streaming import StreamingQueryListener

from tidemill.streaming import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.streaming.progress import Progress

log = structlog.get_logger(__name__)


class ProgressListener(StreamingQueryListener):
    """Hand on each finished micro-batch, and each word of having nothing to do, of one query.

    Spark waits meanwhile: the receivers only take note. It takes Java's events: pyspark's own
    listener asks for each field of a report by itself, 40 ms of a core each micro-batch.
    """

    class Java:
        """What py4j shows to Java."""

        implements: ClassVar = ["org.apache.spark.sql.streaming.PythonStreamingQueryListener"]

    def __init__(
        self, name: str, record: Callable[[Progress], None], idle: Callable[[], None] = lambda: None
    ) -> None:
        """Take the query's name and the receivers; others may run in the same session."""
        super().__init__()
        self._name = name
        self._record = record
        self._idle = idle
        self._run_id: object = None

    @cached_property
    def _jlistener(self) -> Any:  # noqa: ANN401 - Java's
        jvm: Any = SparkContext._jvm  # noqa: SLF001 - as pyspark's own does
        return jvm.PythonStreamingQueryListenerWrapper(self)

    def onQueryStarted(self, event: Any) -> None:  # noqa: ANN401, N802 - Spark's
        """Take note of the run, which is all that some events tell; before the query's start."""
        if event.name() == self._name:
            self._run_id = event.runId().toString()

    def onQueryProgress(self, event: Any) -> None:  # noqa: ANN401, N802 - Spark's
        """Hand on what a finished micro-batch reports."""
        try:
            report = event.progress()
            if report.runId().toString() == self._run_id:
                self._record(progress.read(report.json()))
        except Exception as error:
            # Spark would swallow it.
            log.exception("a progress report was not understood", error=repr(error))

    def onQueryIdle(self, event: Any) -> None:  # noqa: ANN401, N802 - Spark's
        """Hand on that there is nothing to do; Spark says so every ten seconds."""
        if event.runId().toString() == self._run_id:
            self._idle()

    def onQueryTerminated(self, event: Any) -> None:  # noqa: ANN401, N802 - Spark's
        """Pass over an end."""
