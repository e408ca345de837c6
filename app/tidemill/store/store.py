"""The store: tables of features or predictions, loaded, swapped, streamed into and looked up."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

from tidemill.errors import UnknownTable
from tidemill.store import load, retention, stats, swap, upsert
from tidemill.store.catalogue import now_ms
from tidemill.store.database import Database, MissingTable
from tidemill.store.reader import Reader
from tidemill.store.table import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tidemill.store.reader import Rows
    from tidemill.store.rows import Row
    from tidemill.store.stats import TableStats
    from tidemill.store.table import Key, Table
    from tidemill.store.upsert import Change


class Loaded(NamedTuple):
    """What a load wrote, and whether readers see it."""

    generation: int
    rows: int
    live: bool


@contextmanager
def _known(name: str) -> Iterator[None]:
    """Name the table that there is not if the database has no tables at all."""
    try:
        yield
    except MissingTable:
        raise UnknownTable(name, ()) from None


class Store:
    """A store in one database. Threads may share it."""

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        timeout: float = 5,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """Prepare connections to a database, such as sqlite:///store.db.

        `timeout` is how many seconds a look-up may take; `clock` returns the time in milliseconds.

        Raises:
            InvalidStoreUrl: There can be no database at the URL.

        """
        self._database = Database(url, password=password, timeout=timeout)
        self._reader = Reader(self._database, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    @property
    def database(self) -> Database:
        """The database, for rooms that keep tables of their own in it."""
        return self._database

    def table(self, name: str) -> Table:
        """Return the description of a table, as it was when this process last read the table."""
        return self._reader.table(name)

    def get(self, name: str, keys: Sequence[Key]) -> Rows:
        """Return the latest row of each key. A row that is older than the table's ttl is missing.

        Raises:
            UnknownTable, InvalidKey, TooManyKeys: The look-up is wrong.
            StoreUnavailable: The database cannot be reached.

        """
        return self._reader.read(name, keys, None)

    def as_of(self, name: str, keys: Sequence[tuple[Key, int]]) -> Rows:
        """Return, for each pair of a key and a time, the row that was the latest at that time.

        Times are milliseconds since 1970. Raises what `get` raises, and:

        Raises:
            NoHistory: The table keeps only the latest rows.

        """
        return self._reader.read(name, [key for key, _ in keys], [time for _, time in keys])

    def load(
        self,
        table: Table,
        rows: Iterable[Row],
        *,
        version: str | None = None,
        source: str | None = None,
        swap_in: bool = True,
    ) -> Loaded:
        """Write all rows of a table as a new generation, and make it live at once for all readers.

        If a load that began later is live already, the new generation is only ready.

        Raises:
            InvalidTable, InvalidRow, RepeatedKey: Nothing was changed.
            StoreFull, StoreUnavailable, LoadLost: Nothing that readers see was changed.

        """
        number, written = load.write_generation(
            self._database, verify(table), rows, version=version, source=source
        )
        live = swap_in and swap.swap_in(self._database, table.name, number)
        if live:
            retention.drop_old(self._database, table.name)
        return Loaded(number, written, live)

    def create(self, table: Table) -> None:
        """Create an empty table for a stream, unless the table exists."""
        if stats.exists(self._database, table.name):
            return
        number, _ = load.write_generation(self._database, verify(table), [])
        # Somebody else may have created the table meanwhile, and written to it.
        if not swap.swap_in(self._database, table.name, number, first=True):
            retention.try_drop(self._database, table.name, number)

    def swap(self, name: str, generation: int | None = None) -> int:
        """Make a generation live, by default the newest that is ready; return its number."""
        with _known(name):
            number = swap.swap(self._database, name, generation)
        retention.drop_old(self._database, name)
        return number

    def rollback(self, name: str) -> int:
        """Make the generation live again that precedes the live one; return its number."""
        with _known(name):
            return swap.rollback(self._database, name)

    def upsert(
        self,
        name: str,
        changes: Iterable[Change],
        source: tuple[str, int],
        *,
        version: str | None = None,
    ) -> int:
        """Write what messages of a topic's partition change, each message once; see `upsert`."""
        with _known(name):
            return upsert.upsert(self._database, name, changes, source, version)

    def position(self, name: str, source: tuple[str, int]) -> int:
        """Return the offset of a topic's partition from which on `upsert` has written nothing."""
        return upsert.position(self._database, name, source)

    def stats(self, *, count: bool = False) -> list[TableStats]:
        """Return what there is to know about each table; `count` counts the rows that are live."""
        return stats.stats(self._database, count=count)

    def drop(self, name: str, generation: int | None = None) -> None:
        """Drop a table, or a generation of it that is not live."""
        with _known(name):
            retention.drop(self._database, name, generation)
