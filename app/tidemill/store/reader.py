"""Read rows by key, all keys of a request in one generation, and never an expired row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tidemill.errors import InvalidKey, NoHistory, StoreUnavailable, TooManyKeys
from tidemill.store.catalogue import live_generation
from tidemill.store.database import MissingTable
from tidemill.store.lookup import Lookup
from tidemill.store.table import MAX_INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.store.database import Database
    from tidemill.store.table import Key, Table

MAX_KEYS: Final = 1000
# How often a look-up begins again because its table got another live generation meanwhile.
ATTEMPTS: Final = 20


class StoreRow(NamedTuple):
    """The row of a key. `data` is a JSON object; `time` is in milliseconds since 1970."""

    data: str
    time: int
    version: str | None

    @property
    def values(self) -> dict[str, Any]:
        """The columns by name."""
        values: dict[str, Any] = msgspec.json.decode(self.data)
        return values


class Rows(NamedTuple):
    """What a look-up found in one generation: for each key, in their order, its row or None."""

    generation: int
    rows: list[StoreRow | None]


class Reader:
    """Looks keys up, and remembers the live generation of each table between look-ups."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        """Read from a database; `clock` returns the time in milliseconds."""
        self._database = database
        self._clock = clock
        self._lookups: dict[str, Lookup] = {}

    def table(self, name: str) -> Table:
        """Return the description of a table, as it was when this process last read the table."""
        return self._lookup(name).generation.table

    def read(self, name: str, keys: Sequence[Key], times: Sequence[int] | None) -> Rows:
        """Return the row of each key, the latest or the one at its time."""
        if len(keys) > MAX_KEYS:
            raise TooManyKeys(len(keys), MAX_KEYS)
        lookup = self._lookup(name)
        for _ in range(ATTEMPTS):
            try:
                rows = self._rows(lookup, keys, times)
            except (InvalidKey, NoHistory):
                # The keys may be right for a newer generation.
                if self._rows(lookup, [], None) is not None:
                    raise
                rows = None
            if rows is not None:
                return Rows(lookup.generation.number, rows)
            lookup = self._refresh(name)
        raise StoreUnavailable(self._database.url, f"{name} changes faster than it can be read")

    def _lookup(self, name: str) -> Lookup:
        return self._lookups.get(name) or self._refresh(name)

    def _refresh(self, name: str) -> Lookup:
        self._lookups.pop(name, None)  # the table may be gone
        lookup = Lookup(live_generation(self._database, name), self._database)
        self._lookups[name] = lookup
        return lookup

    def _rows(
        self, lookup: Lookup, keys: Sequence[Key], times: Sequence[int] | None
    ) -> list[StoreRow | None] | None:
        """Return the rows, or None if the generation is not the live one any more."""
        table = lookup.generation.table
        if times is not None and not table.history:
            raise NoHistory(table.name)
        stored = [table.encode_key(key) for key in keys]
        if times is None:
            until = [self._clock()] * len(keys)
        else:
            until = [max(-MAX_INTEGER, min(time, MAX_INTEGER - 1)) for time in times]
        places: Sequence[Any] = range(len(keys)) if table.history else stored
        try:
            found = lookup.as_of(stored, until) if table.history else lookup.latest(stored)
        except MissingTable:
            return None  # it was dropped
        if found is None:
            return None
        lifetime = math.inf if table.ttl is None else table.ttl * 1000
        return [
            _present(found.get(place), now - lifetime)
            for place, now in zip(places, until, strict=True)
        ]


def _present(
    row: tuple[Any, int, str | None, str | None] | None, earliest: float
) -> StoreRow | None:
    """Return a row, unless there is none, its key was deleted, or it has expired."""
    if row is None:
        return None
    _, time, version, data = row
    return None if data is None or time < earliest else StoreRow(data, time, version)
