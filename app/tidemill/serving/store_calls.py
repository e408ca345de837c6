"""Call the store off the event loop, which a slow database must not hold up."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from tidemill.errors import ServerBusy, StoreFull, StoreUnavailable, log_fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tidemill.errors import TidemillError
    from tidemill.store.store import Store

    T = TypeVar("T")

log = structlog.get_logger(__name__)

# How long the end waits for the database, in seconds.
CLOSE_S: Final = 1.0


class StoreCalls:
    """Calls of one store in threads; for one event loop."""

    def __init__(
        self,
        store: Store,
        threads: int,
        *,
        max_waiting: int,
        unavailable: Callable[[], TidemillError],
    ) -> None:
        """Take how many calls run at once, how many may wait, and the error if the store is away.

        A database that hangs must leave room for requests that do not need it.
        """
        self._store = store
        self._max_waiting = max_waiting
        self._unavailable = unavailable
        self._threads = ThreadPoolExecutor(threads, "store")
        self._calls: set[Future[Any]] = set()
        self._waiting = 0
        self._is_away = False

    async def for_client(self, function: Callable[[], T]) -> T:
        """Return what a function returns that a client waits for; it runs in another thread.

        Raises:
            ServerBusy: Too many wait.
            TidemillError: The store is away.

        """
        if self._waiting >= self._max_waiting:
            raise ServerBusy(self._max_waiting)
        self._waiting += 1
        try:
            return await self.run(function)
        finally:
            self._waiting -= 1

    async def run(self, function: Callable[[], T]) -> T:
        """Return what a function returns, which runs in another thread.

        Raises:
            TidemillError: The store is away.

        """
        call = self._threads.submit(function)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            answer = await asyncio.wrap_future(call)
        except (StoreUnavailable, StoreFull) as error:
            self._note_failure(error)
            raise self._unavailable() from None
        self._note_success()
        return answer

    def close(self) -> None:
        """Close the store, soon after the last request."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait([*self._calls], CLOSE_S)
        self._store.close()

    @property
    def is_busy(self) -> bool:
        """Tell whether a thread waits for the database. Python does not end before it."""
        return bool(self._calls)

    def _note_failure(self, error: StoreUnavailable | StoreFull) -> None:
        if not self._is_away:
            log.error(error.message, **log_fields(error))
        self._is_away = True

    def _note_success(self) -> None:
        if self._is_away:
            log.info("the store answers again")
        self._is_away = False
