"""Which model answers a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.errors import InvalidModels, MissingField, NoModel, WrongType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.inference.model import ModelSpec


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
        tables: dict[tuple[str, ...], dict[tuple[str, ...], ModelSpec]] = {}
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

    def route(self, message: Mapping[str, Any]) -> ModelSpec:
        """Return the entry that answers a message with these fields.

        Raises:
            WrongType: A field that entries match on is there, but is not text.
            MissingField: Every entry matches on a field that is absent.
            NoModel: No entry matches the fields that are there.

        """
        found = {name: text(message, name) for name in self.fields if message.get(name) is not None}
        complete = False
        for names, table in self._tables:
            if all(name in found for name in names):
                complete = True
                spec = table.get(tuple(found[name] for name in names))
                if spec is not None:
                    return spec
        missing = [name for name in self.fields if name not in found]
        if missing and not complete:
            raise MissingField(missing[0])
        raise NoModel(found)


def text(message: Mapping[str, Any], field: str) -> str:
    """Return a field that must be text.

    Raises:
        MissingField: It is absent or null.
        WrongType: It is of another type.

    """
    value = message.get(field)
    if value is None:
        raise MissingField(field)
    if not isinstance(value, str):
        raise WrongType(field, value)
    return value
