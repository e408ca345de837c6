"""Ask the store for the rows of a batch: one query for each table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from tidemill.errors import KeyMismatch, MessageError, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_KEYS = 1000  # of one query
Key: TypeAlias = "str | int | tuple[str | int, ...]"


class StoredRow(Protocol):
    """A row of a table."""

    @property
    def data(self) -> str:
        """Its columns, as a JSON object."""

    @property
    def time(self) -> int:
        """Its time, in milliseconds since 1970."""


class Rows(Protocol):
    """The rows of some keys."""

    @property
    def generation(self) -> int:
        """The generation of the table that has them."""

    @property
    def rows(self) -> Sequence[StoredRow | None]:
        """A row for each key, or None."""


class Table(Protocol):
    """What knows a table's keys."""

    @property
    def key(self) -> Sequence[str]:
        """The columns of a key."""

    def encode_key(self, key: Key) -> object:
        """Raise InvalidKey unless the table can have this key."""


class FeatureStore(Protocol):
    """What look-ups need of `tidemill.store.store.Store`."""

    def table(self, name: str) -> Table:
        """Return a table."""

    def get(self, name: str, keys: Sequence[Key]) -> Rows:
        """Return the latest row of each key."""

    def as_of(self, name: str, keys: Sequence[tuple[Key, int]]) -> Rows:
        """Return the row that each key had at its time."""


class Wanted(NamedTuple):
    """The row of a key, as of a time in milliseconds since 1970; without a time, the latest."""

    table: str
    key: Key
    time: int | None


class Answer(NamedTuple):
    """A row, if there is one, and the generation that was asked."""

    row: StoredRow | None
    generation: int


def fetch(store: FeatureStore, wanted: Iterable[Wanted]) -> dict[Wanted, Answer | TidemillError]:
    """Return what the store has for each wanted row.

    A key of the wrong type gets a MessageError. If the entry or the store is wrong, or the store is
    down, its rows get that error.
    """
    queries: dict[tuple[str, bool], dict[Wanted, None]] = {}
    for each in wanted:
        queries.setdefault((each.table, each.time is not None), {})[each] = None
    found: dict[Wanted, Answer | TidemillError] = {}
    for (table, _), rows in queries.items():
        try:
            found.update(_query(store, table, list(rows)))
        except TidemillError as error:
            found.update(dict.fromkeys(rows, error))
    return found


def _query(
    store: FeatureStore, name: str, wanted: Sequence[Wanted]
) -> Iterator[tuple[Wanted, Answer | TidemillError]]:
    table = store.table(name)
    good = []
    for each in wanted:
        parts = len(each.key) if isinstance(each.key, tuple) else 1
        if parts != len(table.key):
            yield each, KeyMismatch(name, table.key, parts)
            continue
        try:
            table.encode_key(each.key)
        except MessageError as error:
            yield each, error
        else:
            good.append(each)
    for start in range(0, len(good), MAX_KEYS):
        part = good[start : start + MAX_KEYS]
        pairs = [(each.key, each.time) for each in part if each.time is not None]
        rows = store.as_of(name, pairs) if pairs else store.get(name, [each.key for each in part])
        for each, row in zip(part, rows.rows, strict=True):
            yield each, Answer(row, rows.generation)
