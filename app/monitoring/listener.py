"""Hear of every micro-batch: `lastProgress` would skip some."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from pyspark import SparkContext

from app.monitoring import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from py4j.java_gateway import JavaObject
    from pyspark.sql import SparkSession

    from app.monitoring.progress import Progress

log = structlog.get_logger(__name__)


class ProgressListener:
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
        self._name = name
        self._record = record
        self._idle = idle
        self._run_id: object = None

    def listen(self, spark: SparkSession) -> None:
        """Hear of the queries that are started from now on."""
        spark.streams.addListener(self)  # type: ignore[arg-type] # which asks for `_jlistener`

    @cached_property
    def _jlistener(self) -> Any:  # noqa: ANN401 - Java's
        jvm: Any = SparkContext._jvm  # noqa: SLF001 - as pyspark's own listener does
        return jvm.PythonStreamingQueryListenerWrapper(self)

    def onQueryStarted(self, event: JavaObject) -> None:  # noqa: N802 - Spark's name
        """Take note of the run, which is all that some events tell; before the query's start."""
        if event.name() == self._name:
            self._run_id = event.runId().toString()

    def onQueryProgress(self, event: JavaObject) -> None:  # noqa: N802 - Spark's name
        """Hand on what a finished micro-batch reports."""
        report = event.progress()
        if report.runId().toString() != self._run_id:
            return
        try:
            self._record(progress.read(report.json()))
        except Exception as error:
            # Spark would swallow it.
            log.exception("a progress report was not understood", error=repr(error))

    def onQueryIdle(self, event: JavaObject) -> None:  # noqa: N802 - Spark's name
        """Hand on that there is nothing to do; Spark says so every ten seconds."""
        if event.runId().toString() == self._run_id:
            self._idle()

    def onQueryTerminated(self, event: JavaObject) -> None:  # noqa: N802 - Spark's name
        """Pass over an end."""
