"""Which model answers a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import InvalidModels, MissingField, NoModel, WrongType
from tidemill.inference.codec import NULL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.inference.codec import Fields
    from tidemill.inference.model import ModelSpec

_TEXT = msgspec.json.Decoder(str)
_ROUTABLE = msgspec.json.Decoder(str | int | float)


class Router:
    """Choose by the fields that the entries match on; the entry with the most fields wins.

    A look-up costs one dictionary access for each set of field names in use, however many models
    there are.
    """

    def __init__(self, specs: Iterable[ModelSpec]) -> None:
        """Index the entries.

        Raises:
            InvalidModels: Two entries answer the same messages.

        """
        tables: dict[tuple[str, ...], dict[tuple[str | float | None, ...], ModelSpec]] = {}
        for spec in specs:
            names = tuple(sorted(spec.match))
            values = tuple(spec.match[name] for name in names)
            table = tables.setdefault(names, {})
            if values in table:
                raise InvalidModels(
                    "models", f"{table[values].id} and {spec.id} answer the same: {spec.match}"
                )
            table[values] = spec
        self._tables = sorted(tables.items(), key=lambda item: (-len(item[0]), item[0]))
        self.fields = sorted({name for names in tables for name in names})

    @property
    def for_all(self) -> ModelSpec | None:
        """The entry that matches on no field, if there is one."""
        return dict(self._tables).get((), {}).get(())

    def route(self, fields: Fields) -> ModelSpec:
        """Return the entry that answers a message with these fields.

        A field of a type that no entry can match on is as one with another value.

        Raises:
            MissingField: Every entry matches on a field that is absent or null.
            NoModel: No entry matches the fields that are there.

        """
        found = {name: fields[name] for name in self.fields if is_there(fields, name)}
        values = {name: routable(value) for name, value in found.items()}
        complete = False
        for names, table in self._tables:
            if all(name in values for name in names):
                complete = True
                spec = table.get(tuple(values[name] for name in names))
                if spec is not None:
                    return spec
        missing = [name for name in self.fields if name not in found]
        if missing and not complete:
            raise MissingField(missing[0])
        raise NoModel({name: bytes(value).decode() for name, value in found.items()})


def is_there(fields: Fields, name: str) -> bool:
    """Tell whether a message has a field, and it is not null."""
    return fields.get(name, NULL) != NULL


def routable(value: msgspec.Raw) -> str | float | None:
    """Return a field's value if an entry may match on it: text or a number."""
    try:
        found: str | float = _ROUTABLE.decode(value)
    except ValueError:
        return None
    return found


def text(fields: Fields, field: str) -> str:
    """Return a field that must be text.

    Raises:
        MissingField: It is absent or null.
        WrongType: It is of another type.

    """
    if not is_there(fields, field):
        raise MissingField(field)
    try:
        return _TEXT.decode(fields[field])
    except ValueError:
        raise WrongType(field, bytes(fields[field]).decode()) from None
