"""Look keys up in the tables of the store, off the event loop, and know which tables it has."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import structlog

from tidemill.errors import InvalidKey, LookupsUnavailable, TableNotFound, UnknownTable, describe
from tidemill.serving.store_calls import StoreCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidemill.serving.catalogue import Catalogue
    from tidemill.serving.table_metrics import TableMetrics
    from tidemill.store.catalogue import Generation
    from tidemill.store.reader import Rows
    from tidemill.store.store import Store
    from tidemill.store.table import Key, Table

    # The keys that a request has for a table, and what it gets for the rows.
    KeysOf: TypeAlias = Callable[[Table], Sequence[Key]]
    T = TypeVar("T")
    AnswerOf: TypeAlias = Callable[[Table, Rows], T]

log = structlog.get_logger(__name__)

# As many as connections that the store keeps open.
THREADS: Final = 16
# How old the list of tables may be, in seconds, and how soon it may be read again.
REFRESH_S: Final = 15.0
SOONEST_S: Final = 1.0


class Tables:
    """The tables of the store that a server serves; for one event loop."""

    def __init__(
        self, store: Store, served: Catalogue, metrics: TableMetrics, *, max_waiting: int
    ) -> None:
        """Take the store, which tables of it to list, and how many look-ups may wait at a time."""
        self._store = store
        self._served = served
        self._metrics = metrics
        self._calls = StoreCalls(
            store, THREADS, max_waiting=max_waiting, unavailable=LookupsUnavailable
        )
        self._is_outdated = asyncio.Event()
        self.live: Mapping[str, Generation] = {}

    async def look_up(self, name: str, keys_of: KeysOf, answer_of: AnswerOf[T], *, count: int) -> T:
        """Return what `answer_of` makes of a table's rows; both functions run in another thread.

        `count` is the number of keys.

        Raises:
            TableNotFound, InvalidKey, TooManyKeys: The look-up is wrong.
            LookupsUnavailable, ServerBusy: There is no answer now.

        """
        start = time.perf_counter()
        try:
            rows, answer = await self._calls.for_client(
                partial(self._look_up, name, keys_of, answer_of)
            )
        except UnknownTable:
            raise TableNotFound(name) from None
        except (LookupsUnavailable, asyncio.CancelledError):  # or the time was over
            self._metrics.failed(name, count)
            raise
        self._metrics.found(name, rows, time.perf_counter() - start)
        known = self.live.get(name)
        if known is None or known.number != rows.generation:
            self._is_outdated.set()
        return answer

    async def refresh(self) -> None:
        """Find out which tables there are. If the database is away, keep what was known."""
        try:
            listed = await self._calls.run(self._store.stats)
        except LookupsUnavailable:
            return
        self.live = {
            each.name: each.live
            for each in listed
            if each.live is not None and self._served.has_table(each.name)
        }
        self._metrics.listed(self.live.values())

    async def keep_refreshing(self) -> None:
        """Refresh regularly, and when a look-up finds a new generation, until this is cancelled."""
        while True:
            self._is_outdated.clear()
            try:
                await self.refresh()
            except Exception as error:  # the server goes on
                log.exception("cannot list the tables", error=describe(error))
            await asyncio.sleep(SOONEST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_S):
                    await self._is_outdated.wait()

    def close(self) -> None:
        """Close the store, soon after the last request."""
        self._calls.close()

    @property
    def is_busy(self) -> bool:
        """Tell whether a thread waits for the database. Python does not end before it."""
        return self._calls.is_busy

    def _look_up(self, name: str, keys_of: KeysOf, answer_of: AnswerOf[T]) -> tuple[Rows, T]:
        rows = self._read(name, keys_of)
        return rows, answer_of(rows.table, rows)

    def _read(self, name: str, keys_of: KeysOf) -> Rows:
        """Return the rows, also if a newer generation has keys of another type."""
        known = self._store.table(name)
        try:
            keys = keys_of(known)
        except InvalidKey:
            self._store.get(name, [])  # reads the description again if it has changed
            keys = keys_of(self._store.table(name))
        try:
            return self._store.get(name, keys)
        except InvalidKey:
            newer = self._store.table(name)
            if newer == known:
                raise
            return self._store.get(name, keys_of(newer))
