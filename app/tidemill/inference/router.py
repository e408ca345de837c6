"""Choose the model that answers a message."""

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
_TEXT_OR_NUMBER = msgspec.json.Decoder(str | int | float)


class Router:
    """Route messages by the fields that entries match on; the entry with the most fields wins.

    A lookup costs one dictionary access for each distinct set of field names, independent of the
    number of models.
    """

    def __init__(self, specs: Iterable[ModelSpec]) -> None:
        """Index the entries.

        Raises:
            InvalidModels: Two entries match the same messages.

        """
        tables: dict[tuple[str, ...], dict[tuple[str | float | None, ...], ModelSpec]] = {}
        for spec in specs:
            names = tuple(sorted(spec.match))
            values = tuple(spec.match[name] for name in names)
            table = tables.setdefault(names, {})
            if values in table:
                both = f"{table[values].id} and {spec.id}"
                raise InvalidModels("models", f"{both} match the same messages: {spec.match}")
            table[values] = spec
        self._tables = sorted(tables.items(), key=lambda item: (-len(item[0]), item[0]))
        self.fields = sorted({name for names in tables for name in names})

    @property
    def catch_all(self) -> ModelSpec | None:
        """The entry that matches every message, if there is one."""
        return dict(self._tables).get((), {}).get(())

    def route(self, fields: Fields) -> ModelSpec:
        """Return the entry that answers a message with these fields.

        A field of a type that entries cannot match on equals no entry's value.

        Raises:
            MissingField: Every entry matches on a field that is missing or null.
            NoModel: No entry matches the message's fields.

        """
        present = {name: fields[name] for name in self.fields if _is_present(fields, name)}
        values = {name: _match_value(value) for name, value in present.items()}
        complete = False
        for names, table in self._tables:
            if all(name in values for name in names):
                complete = True
                spec = table.get(tuple(values[name] for name in names))
                if spec is not None:
                    return spec
        missing = [name for name in self.fields if name not in present]
        if missing and not complete:
            raise MissingField(missing[0])
        raise NoModel({name: bytes(value).decode() for name, value in present.items()})


def _is_present(fields: Fields, name: str) -> bool:
    """Return whether a field exists and is not null."""
    return fields.get(name, NULL) != NULL


def _match_value(value: msgspec.Raw) -> str | float | None:
    """Decode a value that entries can match on, text or a number; return None for any other."""
    try:
        decoded: str | float = _TEXT_OR_NUMBER.decode(value)
    except ValueError:
        return None
    return decoded


def require_text(fields: Fields, field: str) -> str:
    """Return the text of a field.

    Raises:
        MissingField: The field is missing or null.
        WrongType: The field is not text.

    """
    if not _is_present(fields, field):
        raise MissingField(field)
    try:
        return _TEXT.decode(fields[field])
    except ValueError:
        raise WrongType(field, bytes(fields[field]).decode()) from None
