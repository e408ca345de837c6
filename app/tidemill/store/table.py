"""Describe a table of the store, and encode its keys."""

from __future__ import annotations

import re
from typing import Final, TypeAlias, get_args

import msgspec

from tidemill.errors import InvalidKey, InvalidTable
from tidemill.settings.store import ColumnType

KEY_TYPES: Final = ("text", "integer")
# Short enough for PostgreSQL's 63 characters, with what the store adds.
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
MAX_INTEGER: Final = 2**63
# Bytes of a key; an index of PostgreSQL takes no more than 2,704 for a row.
MAX_KEY: Final = 2000

# A key as users write it: the value of the key column, or those of several, in their order.
Key: TypeAlias = str | int | list[str | int] | tuple[str | int, ...]
# A key as the database has it.
StoredKey: TypeAlias = str | int


class Table(msgspec.Struct, frozen=True):
    """A table of the store.

    Attributes:
        name: Small letters, digits and underscores.
        key: The columns of the entity key.
        columns: The type of each column. A key column that is not listed is text.
        time: The column with the time of a row's event: ISO 8601, or milliseconds since 1970.
            Without it, the time is that of the load or of the message.
        version: The column with the version of the model that made a row.
        ttl: The seconds after a row's time in which look-ups find it; None for ever.
        keep: How many earlier generations stay for a rollback.
        history: Whether a key keeps a row for each time, to be read as of that time.

    """

    name: str
    key: tuple[str, ...]
    columns: dict[str, ColumnType]
    time: str | None = None
    version: str | None = None
    ttl: float | None = None
    keep: int = 2
    history: bool = False

    @property
    def key_types(self) -> list[str]:
        """The types of the key columns."""
        return [self.columns.get(name, "text") for name in self.key]

    @property
    def integer_key(self) -> bool:
        """Whether a key is one integer in the database; other keys are text."""
        return self.key_types == ["integer"]

    @property
    def value_columns(self) -> dict[str, ColumnType]:
        """The columns that a look-up returns: all but those of the key, the time and version."""
        other = {*self.key, self.time, self.version}
        return {name: kind for name, kind in self.columns.items() if name not in other}

    def encode_key(self, key: Key) -> StoredKey:
        """Return a key as the database has it.

        Raises:
            InvalidKey: It does not have the types of the key columns.

        """
        if len(self.key) == 1:
            self._check(key, key, self.key_types[0])
            if isinstance(key, str):
                self._require_short(key)
            return key  # type: ignore[return-value]  # checked
        if not isinstance(key, list | tuple) or len(key) != len(self.key):
            raise InvalidKey(self.name, repr(key), f"it needs {', '.join(self.key)}")
        for part, kind in zip(key, self.key_types, strict=True):
            self._check(key, part, kind)
        encoded = msgspec.json.encode(key).decode()
        self._require_short(encoded)
        return encoded

    def parse_key(self, text: str) -> Key:
        """Return the key that a text spells: itself, an integer, or a JSON array of several.

        Raises:
            InvalidKey: It spells none.

        """
        if self.key_types == ["text"]:
            return text
        try:
            key: Key = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            wanted = (
                "an integer" if len(self.key) == 1 else f"a JSON array of {', '.join(self.key)}"
            )
            raise InvalidKey(self.name, repr(text), f"it needs {wanted}") from None
        self.encode_key(key)
        return key

    def _check(self, key: object, part: object, kind: str) -> None:
        if kind == "integer":
            if type(part) is not int or not -MAX_INTEGER <= part < MAX_INTEGER:
                raise InvalidKey(self.name, repr(key), "it needs an integer of 64 bits")
        elif type(part) is not str:
            raise InvalidKey(self.name, repr(key), "it needs text")
        elif not part.isascii() or "\0" in part:
            _require_storable(self.name, part)

    def _require_short(self, key: str) -> None:
        if len(key) * 4 > MAX_KEY and len(key.encode()) > MAX_KEY:
            raise InvalidKey(self.name, repr(key), f"it needs at most {MAX_KEY:,} bytes")


def _require_storable(table: str, text: str) -> None:
    """Refuse what PostgreSQL cannot hold: the character NUL, and halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidKey(table, ascii(text), "it has half of a surrogate pair") from None
    if "\0" in text:
        raise InvalidKey(table, repr(text), "it has the character NUL")


def verify(table: Table) -> Table:
    """Return a table that can exist.

    Raises:
        InvalidTable: It cannot.

    """
    used = {*table.key, *filter(None, (table.time, table.version))}
    problems = (
        (not NAME.fullmatch(table.name), "its name needs a-z, 0-9 and _, at most 40 characters"),
        ("__g" in table.name, "its name contains __g"),
        (table.name.startswith("sqlite_"), "its name begins with sqlite_, which SQLite keeps"),
        (not table.key, "it has no key"),
        (len(set(table.key)) < len(table.key), "a key column is named twice"),
        (any(kind not in KEY_TYPES for kind in table.key_types), "a key is text or integer"),
        (any(k not in get_args(ColumnType) for k in table.columns.values()), "an unknown type"),
        (len(used) < len(table.key) + bool(table.time) + bool(table.version), "a column twice"),
        (table.ttl is not None and not table.ttl > 0, "ttl must be positive"),
        (table.keep < 0, "keep must not be negative"),
    )
    for wrong, reason in problems:
        if wrong:
            raise InvalidTable(table.name, reason)
    return table
