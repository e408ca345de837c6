"""Listen to every micro-batch of a query; polling `lastProgress` would miss some."""

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
    """Forward one query's progress and idle events.

    Spark waits for the callbacks, so they must not block. This listener takes Java's events,
    because pyspark's own listener makes a call for each field of a report, which costs 40 ms of a
    core per micro-batch.
    """

    class Java:
        """The Java interface that py4j implements."""

        implements: ClassVar = ["org.apache.spark.sql.streaming.PythonStreamingQueryListener"]

    def __init__(
        self, name: str, record: Callable[[Progress], None], idle: Callable[[], None] = lambda: None
    ) -> None:
        """Take the query's name and the callbacks; other queries may run in the same session."""
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
        """Store the run's id, because some events carry no name."""
        if event.name() == self._name:
            self._run_id = event.runId().toString()

    def onQueryProgress(self, event: Any) -> None:  # noqa: ANN401, N802 - Spark's
        """Forward the report of a finished micro-batch."""
        try:
            report = event.progress()
            if report.runId().toString() == self._run_id:
                self._record(progress.read(report.json()))
        except Exception as error:
            # Spark would ignore the exception.
            log.exception("cannot parse a progress report", error=repr(error))

    def onQueryIdle(self, event: Any) -> None:  # noqa: ANN401, N802 - Spark's
        """Forward that no messages are waiting; Spark sends this event every ten seconds."""
        if event.runId().toString() == self._run_id:
            self._idle()

    def onQueryTerminated(self, event: Any) -> None:  # noqa: ANN401, N802 - Spark's
        """Ignore the end of a query."""
