"""Write a topic's records into a table, and wait while the store is down."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import structlog

from tidemill.errors import InvalidRow, StoreFull, StoreUnavailable
from tidemill.follow.changes import to_change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.inference.message import Message
    from tidemill.store.store import Store

    T = TypeVar("T")

log = structlog.get_logger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0


class Stopped(Exception):
    """The program was asked to stop while the store was down."""


class Writer:
    """Writes into one table what one topic has."""

    def __init__(
        self,
        store: Store,
        table: str,
        topic: str,
        *,
        skip_invalid: bool,
        pause: Callable[[float], bool],
    ) -> None:
        """Take the table; `pause` waits for some seconds, and returns whether to stop."""
        self._store = store
        self._table = table
        self._topic = topic
        self._skip_invalid = skip_invalid
        self._pause = pause
        self.written = self.skipped = 0

    def position(self, partition: int) -> int:
        """Return the offset of a partition that is written next."""
        return self._patiently(lambda: self._store.position(self._table, (self._topic, partition)))

    def write(self, partition: int, records: Sequence[Message]) -> None:
        """Write the records of a partition that were not written before, in one transaction.

        If a record does not fit, write the others, and skip it or raise.

        Raises:
            InvalidRow: A record does not fit the table; those before it were written.
            Stopped: The store is down, and the program was asked to stop.

        """
        try:
            self.written += self._patiently(lambda: self._upsert(partition, records))
        except InvalidRow as error:
            if len(records) > 1:
                middle = len(records) // 2
                self.write(partition, records[:middle])
                self.write(partition, records[middle:])
                return
            if not self._skip_invalid:
                raise
            self.skipped += 1
            place = f"{self._topic}/{partition}/{records[0].offset}"
            log.warning("skipped a record", record=place, error=error.message)

    def _upsert(self, partition: int, records: Sequence[Message]) -> int:
        table = self._store.table(self._table)
        changes = [to_change(table, record) for record in records]
        return self._store.upsert(self._table, changes, (self._topic, partition))

    def _patiently(self, function: Callable[[], T]) -> T:
        """Call a function until the store is there."""
        seconds = FIRST_PAUSE_S
        while True:
            try:
                return function()
            except (StoreUnavailable, StoreFull) as error:
                if seconds == FIRST_PAUSE_S:
                    log.warning("waiting for the store", error=error.message)
                if self._pause(seconds):
                    raise Stopped from error
                seconds = min(2 * seconds, LONGEST_PAUSE_S)
