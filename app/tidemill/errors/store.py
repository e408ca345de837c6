"""Define the errors of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors.base import ConfigurationError, MessageError, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class StoreUnavailable(TidemillError):
    """The store's database cannot be reached, or does not do what it is asked."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(
            f"the store at {url} is not available: {reason}",
            "Check that the database runs and that `store.url` is right; reads go on when it does.",
        )


class StoreRefused(StoreUnavailable):
    """The database is there, but does not take a value, and will not take it later either."""

    def __init__(self, url: str, reason: object) -> None:
        TidemillError.__init__(
            self,
            f"the store at {url} does not take a value: {reason}",
            "Make it smaller; a PostgreSQL database should have the encoding UTF8.",
        )


class StoreFull(TidemillError):
    """The database has no space left."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"the store at {url} has no space left; nothing that readers see was changed",
            "Free space, or drop old generations with `tidemill store drop`.",
        )


class InvalidStoreUrl(ConfigurationError):
    """The store cannot be at such a URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"store.url {reason}",
            "Write sqlite:///FOLDER/FILE or postgresql://USER@HOST/DATABASE.",
        )


class InvalidTable(ConfigurationError):
    """A table is not described as it must be."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(
            f"the table {name!r} of the store is invalid: {reason}",
            "See `store.tables` in the documentation of the store.",
        )


class UnknownTable(ConfigurationError):
    """The store has no such table."""

    def __init__(self, name: str, near: Iterable[str]) -> None:
        names = ", ".join(near)
        super().__init__(
            f"the store has no table {name[:100]!r}",
            f"It has {names}." if names else "`tidemill store load` creates one.",
        )


class UnknownGeneration(ConfigurationError):
    """A table has no such generation, or none that can be made live."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(
            f"the table {table!r} has {reason}", "`tidemill store stats` lists the generations."
        )


class InvalidKey(MessageError):
    """A key is not of the type that a table's keys have."""

    def __init__(self, table: str, key: str, reason: str) -> None:
        super().__init__(f"the key {key[:100]} is not one of the table {table!r}: {reason}")


class TooManyKeys(MessageError):
    """A look-up has more keys than are allowed at a time."""

    def __init__(self, keys: int, limit: int) -> None:
        super().__init__(
            f"a look-up of {keys} keys is too large; at most {limit} are possible",
            "Send several look-ups.",
        )


class NoHistory(ConfigurationError):
    """A table keeps only the latest row of each key."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"the table {table!r} has no history, so it cannot be read as of an earlier time",
            "Set `history: true` in its entry under `store.tables`, and load it again.",
        )


class InvalidRow(ConfigurationError):
    """A row does not have the columns of its table."""

    def __init__(self, table: str, row: int, reason: object) -> None:
        super().__init__(
            f"row {row} does not fit the table {table!r}: {reason}",
            "No row was written. Correct the row, or the columns in `store.tables`.",
        )


class RepeatedKey(ConfigurationError):
    """A load has two rows with the same key."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(
            f"the load of the table {table!r} has several rows with the key {key[:100]}",
            "Keep one row a key. With `history: true` a table keeps one for each time.",
        )


class LoadLost(TidemillError):
    """The generation that a load was writing is gone."""

    def __init__(self, table: str, generation: int) -> None:
        super().__init__(
            f"generation {generation} of the table {table!r} was dropped while it was loaded",
            "Load again. A load that is silent for a minute is taken for dead.",
        )


class UnknownColumn(ConfigurationError):
    """An entry looks up a column that its table does not have."""

    def __init__(self, table: str, column: str, near: Iterable[str]) -> None:
        super().__init__(
            f"the table {table!r} of the store has no column {column!r}",
            f"It has {', '.join(near)}. Correct `lookup` in models.yaml, or load the column.",
        )


class KeyMismatch(ConfigurationError):
    """An entry looks up a key with more or fewer parts than the table's key has."""

    def __init__(self, table: str, columns: Sequence[str], parts: int) -> None:
        super().__init__(
            f"the key of the table {table!r} is {', '.join(columns)}, but `lookup` names {parts} "
            f"field{'s' if parts > 1 else ''}",
            "In models.yaml, name a field for each column of the key, in their order.",
        )


class StoreNotOpen(ConfigurationError):
    """A program runs an entry that looks features up, but has no store."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} looks features up, but this program opens no store",
            "Use a command of tidemill, or pass `complete` to the engine.",
        )
