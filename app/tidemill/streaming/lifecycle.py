"""Run a query until it ends, fails, or somebody asks it to stop."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pyspark.sql.streaming import StreamingQuery

POLL_SECONDS = 0.2


def stop_on_signals() -> Callable[[], bool]:
    """Install handlers for SIGTERM and SIGINT that only take note; return what tells of it.

    To be called after the SparkContext was made, which installs a handler of its own for SIGINT.
    A second SIGINT interrupts at once. In another thread than the main one, where a notebook may
    run it, no signal can be heard.
    """
    asked = threading.Event()

    def note(signum: int, _frame: FrameType | None) -> None:
        asked.set()
        if signum == signal.SIGINT:
            signal.signal(signum, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, note)
    return asked.is_set


def run(
    query: StreamingQuery,
    asked_to_stop: Callable[[], bool],
    stop_timeout: float,
    pulse: Callable[[], None] = lambda: None,
) -> bool:
    """Wait for the query's end, or stop it when asked; return whether it was asked.

    `pulse` is called after each look at the query, several times a second.

    Raises:
        StreamingQueryException: The query failed.

    """
    while not query.awaitTermination(POLL_SECONDS):  # type: ignore[arg-type] # takes fractions too
        pulse()
        if asked_to_stop():
            stop(query, stop_timeout, pulse)
            return True
    return False


def stop(query: StreamingQuery, timeout: float, pulse: Callable[[], None] = lambda: None) -> None:
    """Stop the query between two micro-batches, or after `timeout` seconds in the midst of one.

    `query.stop()` cancels the batch that runs, which would then be done again from its start at
    the next run: so the end of the running one is awaited, as its progress reports it.
    """
    deadline = time.monotonic() + timeout
    last = _last_batch(query)
    while (
        time.monotonic() < deadline
        and query.isActive
        and query.status["isTriggerActive"]
        and _last_batch(query) == last
    ):
        pulse()
        time.sleep(0.01)
    query.stop()


def _last_batch(query: StreamingQuery) -> int | None:
    progress = query.lastProgress
    return progress["batchId"] if progress else None
