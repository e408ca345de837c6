"""Complete inputs with features from the store, off the event loop."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from tidemill.errors import LookupsUnavailable, MessageError, TidemillError, log_fields
from tidemill.inference.features import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.inference.features import Complete
    from tidemill.inference.request import Request

# The most look-ups at a time.
THREADS = 8
# How often the log repeats what is wrong, in seconds.
REPEAT_S = 60.0

log = structlog.get_logger(__name__)


class Completer:
    """Looks up in threads of its own, so that no model's process waits for the store."""

    def __init__(self, complete: Complete, on_end: Callable[[float], None]) -> None:
        """Take what completes inputs, and what is told of the seconds that each call took.

        Any number of threads may call `complete`.
        """
        self._complete = complete
        self._on_end = on_end
        self._threads = ThreadPoolExecutor(THREADS, "look-ups")
        self._logged: dict[str, float] = {}

    async def __call__(self, requests: Sequence[Request]) -> list[Completed]:
        """Return the completed inputs."""
        start = time.perf_counter()
        call = self._threads.submit(self._complete, requests)
        try:
            return [self._for_clients(each) for each in await asyncio.wrap_future(call)]
        finally:  # a request whose time is over counts, too
            self._on_end(time.perf_counter() - start)

    def close(self) -> None:
        """Wait for the look-ups that run."""
        self._threads.shutdown(cancel_futures=True)

    def _for_clients(self, done: Completed) -> Completed:
        """Keep from clients where the store is and which tables it has; log it instead."""
        error = done.input
        if not isinstance(error, TidemillError) or isinstance(error, MessageError):
            return done
        now = time.monotonic()
        if now - self._logged.get(error.message, -math.inf) >= REPEAT_S:
            self._logged[error.message] = now
            log.error(error.message, **log_fields(error))
        return Completed(LookupsUnavailable(), done.features)
