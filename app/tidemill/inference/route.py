"""Choose the model that answers a message: its route, and the route's variant."""

from __future__ import annotations

import hashlib
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import InvalidModels, MissingField, NoModel
from tidemill.inference.codec import is_present
from tidemill.inference.model import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.inference.codec import Fields

HASH_BITS = 64
_TEXT_OR_NUMBER = msgspec.json.Decoder(str | int | float)


class Variant(msgspec.Struct, frozen=True):
    """One model of a route, and its share of the keys in proportion to the other weights."""

    spec: ModelSpec
    weight: int = 1


class Route(msgspec.Struct, frozen=True):
    """The messages that belong together, and the models that share them.

    Attributes:
        name: The salt of the hash: two routes with the same weights split the keys independently.
        match: The fields and values that a message must have; if empty, every message matches.
        variants: The models that answer; each key always gets the same one.

    """

    name: str
    match: dict[str, str | int]
    variants: tuple[Variant, ...]

    def choose(self, key: str | bytes) -> ModelSpec:
        """Return the variant for a key.

        The key's hash falls into one of the intervals into which the weights cut all hashes. It is
        the same in every process and release (BLAKE2b, RFC 7693, keyed with the route's name). If
        the weights change, only the keys between an old and a new cut get another variant.
        """
        if len(self.variants) == 1:
            return self.variants[0].spec
        total = sum(variant.weight for variant in self.variants)
        position = self._hash(key) * total >> HASH_BITS
        cuts = accumulate(variant.weight for variant in self.variants)
        return next(v.spec for v, cut in zip(self.variants, cuts, strict=True) if position < cut)

    def _hash(self, key: str | bytes) -> int:
        data = key.encode(errors="surrogatepass") if isinstance(key, str) else key
        salt = hashlib.blake2b(self.name.encode()).digest()
        digest = hashlib.blake2b(data, digest_size=HASH_BITS // 8, key=salt).digest()
        return int.from_bytes(digest, "big")


def single_routes(specs: Iterable[ModelSpec]) -> list[Route]:
    """Return a route with one variant for each entry."""
    return [Route(spec.id, spec.match, (Variant(spec),)) for spec in specs]


class Router:
    """Find the route of a message by its fields; the route that matches on the most fields wins.

    A lookup costs one dictionary access for each distinct set of field names, independent of the
    number of routes.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        """Index the routes.

        Raises:
            InvalidModels: Two routes match the same messages.

        """
        tables: dict[tuple[str, ...], dict[tuple[str | float | None, ...], Route]] = {}
        for route in routes:
            names = tuple(sorted(route.match))
            values = tuple(route.match[name] for name in names)
            table = tables.setdefault(names, {})
            if values in table:
                both = f"{table[values].name} and {route.name}"
                raise InvalidModels("models", f"{both} match the same messages: {route.match}")
            table[values] = route
        self._tables = sorted(tables.items(), key=lambda item: (-len(item[0]), item[0]))
        self.fields = sorted({name for names in tables for name in names})

    @property
    def catch_all(self) -> Route | None:
        """The route that matches every message, if there is one."""
        return dict(self._tables).get((), {}).get(())

    def route(self, fields: Fields) -> Route:
        """Return the route of a message with these fields.

        A field of a type that routes cannot match on equals no route's value.

        Raises:
            MissingField: Every route matches on a field that is missing or null.
            NoModel: No route matches the message's fields.

        """
        present = {name: fields[name] for name in self.fields if is_present(fields, name)}
        values = {name: _match_value(value) for name, value in present.items()}
        complete = False
        for names, table in self._tables:
            if all(name in values for name in names):
                complete = True
                route = table.get(tuple(values[name] for name in names))
                if route is not None:
                    return route
        missing = [name for name in self.fields if name not in present]
        if missing and not complete:
            raise MissingField(missing[0])
        raise NoModel({name: bytes(value).decode() for name, value in present.items()})


def _match_value(value: msgspec.Raw) -> str | float | None:
    """Decode a value that entries can match on, text or a number; return None for any other."""
    try:
        decoded: str | float = _TEXT_OR_NUMBER.decode(value)
    except ValueError:
        return None
    return decoded
