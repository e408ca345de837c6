"""Run a query until it ends, fails, or is asked to stop."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import structlog

from tidemill.errors import CheckpointUnsupported
from tidemill.streaming.checkpoint.stop_marker import StopMarker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pyspark.sql.streaming import StreamingQuery

log = structlog.get_logger(__name__)

POLL_S = 0.2


def stop_requests(checkpoint_location: str) -> Callable[[], str | None]:
    """Return a function that returns the reason why the job was asked to stop, or None.

    The reasons are a signal (see `stop_on_signals`) and `tidemill stop`. Ignore what was asked
    before this start.
    """
    stopped_by_signal = stop_on_signals()
    stopped_by_marker = _stop_marker(checkpoint_location)

    def reason() -> str | None:
        if stopped_by_signal():
            return "signal"
        return "stop marker" if stopped_by_marker() else None

    return reason


def _stop_marker(checkpoint_location: str) -> Callable[[], bool]:
    """Return a function that tells whether `tidemill stop` asked the job to stop."""
    try:
        marker = StopMarker.for_checkpoint(checkpoint_location)
    except CheckpointUnsupported as error:
        log.warning("`tidemill stop` cannot stop this job", error=error.message, hint=error.hint)
        return lambda: False
    marker.consume()
    return marker.consume


def stop_on_signals() -> Callable[[], bool]:
    """Handle SIGTERM and SIGINT; return a function that tells whether one arrived.

    Call this after the SparkContext exists, because Spark installs its own handler for SIGINT. A
    second SIGINT interrupts at once. Outside the main thread, as in some notebooks, Python cannot
    handle signals, and the returned function is always false.
    """
    received = threading.Event()

    def handle(signum: int, _frame: FrameType | None) -> None:
        received.set()
        if signum == signal.SIGINT:
            signal.signal(signum, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, handle)
    return received.is_set


def run(
    query: StreamingQuery,
    stop_reason: Callable[[], str | None],
    stop_timeout: float,
    on_poll: Callable[[], None] = lambda: None,
) -> str | None:
    """Wait until the query ends, or stop it as soon as there is a reason; return the reason.

    Return None if the query ended by itself. Call `on_poll` after each poll of the query, several
    times a second.

    Raises:
        StreamingQueryException: The query failed.

    """
    while not query.awaitTermination(POLL_S):  # type: ignore[arg-type] # accepts fractions too
        on_poll()
        if reason := stop_reason():
            stop(query, stop_timeout, on_poll)
            return reason
    return None


def stop(query: StreamingQuery, timeout: float, on_poll: Callable[[], None] = lambda: None) -> None:
    """Stop the query between two micro-batches, or after `timeout` seconds within one.

    `query.stop()` cancels the running micro-batch, which the next run would then process again. So
    wait until the query's progress reports its end.
    """
    deadline = time.monotonic() + timeout
    last_batch = _last_batch(query)
    while (
        time.monotonic() < deadline
        and query.isActive
        and query.status["isTriggerActive"]
        and _last_batch(query) == last_batch
    ):
        on_poll()
        time.sleep(0.01)
    query.stop()


def _last_batch(query: StreamingQuery) -> int | None:
    progress = query.lastProgress
    return progress["batchId"] if progress else None
