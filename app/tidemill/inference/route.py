"""Choose the model that answers a message: its route, and the route's variant."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import InvalidModels, MissingField, NoModel, UnknownVariant
from tidemill.inference.codec import is_present
from tidemill.inference.model import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.inference.codec import Fields

HASH_BITS = 64
_TEXT_OR_NUMBER = msgspec.json.Decoder(str | int | float)


class Variant(msgspec.Struct, frozen=True):
    """One model of a route, and its share of the keys in proportion to the other weights."""

    name: str
    spec: ModelSpec
    weight: float = 1.0


class Route(msgspec.Struct, frozen=True):
    """The messages that belong together, and the models that share them.

    Attributes:
        name: The name of the entry of models.yaml.
        match: The fields and values that a message must have; if empty, every message matches. If
            None, no message does: only servers answer for this route.
        variants: The models that answer; each key always gets the same one.
        split_by: The field whose value is the key. If None, the key is the record's key, or its
            value if it has no key.
        salt: A text to hash with each key. Routes with the same salt, variants and weights split
            the keys in the same way; routes with different salts split them independently.
        path: The path under which servers answer for this route, such as `/probability/2/TAXI`.

    """

    name: str
    match: dict[str, str | int] | None
    variants: tuple[Variant, ...]
    split_by: str | None = None
    salt: str = ""
    path: str | None = None

    @property
    def is_split(self) -> bool:
        """Tell whether several models share the messages."""
        return len(self.variants) > 1

    def choose(self, key: str | bytes) -> Variant:
        """Return the variant for a key, the same in every process and release.

        Each variant draws a waiting time from an exponential distribution whose rate is its weight,
        and the shortest wins: weighted rendezvous hashing (Schindelhauer and Schomaker, 2005). If
        one weight changes, or a variant comes or goes, keys move only to or from that variant. No
        rule without a memory moves fewer keys (Bavarian et al., 2020). The draws are hashes
        (BLAKE2b, RFC 7693).
        """
        if not self.is_split:
            return self.variants[0]
        data = key.encode(errors="surrogatepass") if isinstance(key, str) else key
        return min(self.variants, key=lambda variant: self._wait(variant, data))

    def find(self, name: str) -> Variant:
        """Return the variant with a name.

        Raises:
            UnknownVariant: The route has no such variant.

        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise UnknownVariant(name, self.name, [variant.name for variant in self.variants])

    def _wait(self, variant: Variant, data: bytes) -> float:
        if not variant.weight:
            return math.inf
        salt = hashlib.blake2b(f"{self.salt}\0{variant.name}".encode()).digest()
        digest = hashlib.blake2b(data, digest_size=HASH_BITS // 8, key=salt).digest()
        # In the open interval from 0 to 1.
        uniform = (int.from_bytes(digest, "big") + 0.5) / 2**HASH_BITS
        return -math.log(uniform) / variant.weight


def single_routes(specs: Iterable[ModelSpec]) -> tuple[Route, ...]:
    """Return a route with one variant for each model."""
    return tuple(Route(spec.id, spec.match, (Variant(spec.version, spec),)) for spec in specs)


def all_specs(routes: Iterable[Route]) -> tuple[ModelSpec, ...]:
    """Return the models of all variants of some routes."""
    return tuple(variant.spec for route in routes for variant in route.variants)


class Router:
    """Find the route of a message by its fields; the route that matches on the most fields wins.

    A lookup costs one dictionary access for each distinct set of field names, independent of the
    number of routes.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        """Index the routes.

        Raises:
            InvalidModels: Two routes match the same messages, or no route matches any.

        """
        routes = tuple(routes)
        tables: dict[tuple[str, ...], dict[tuple[str | float | None, ...], Route]] = {}
        for route in routes:
            if route.match is None:
                continue
            names = tuple(sorted(route.match))
            values = tuple(route.match[name] for name in names)
            table = tables.setdefault(names, {})
            if values in table:
                both = f"{table[values].name} and {route.name}"
                raise InvalidModels("models", f"{both} match the same messages: {route.match}")
            table[values] = route
        if not tables and any(route.match is None for route in routes):
            problem = "no entry answers messages: name the fields of the parameters in `endpoints`"
            raise InvalidModels("models", problem)
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
        values = {name: match_value(value) for name, value in present.items()}
        incomplete = []
        for names, table in self._tables:
            if missing := [name for name in names if name not in values]:
                incomplete.append(missing)
            elif route := table.get(tuple(values[name] for name in names)):
                return route
        if incomplete and len(incomplete) == len(self._tables):
            raise MissingField(min(incomplete, key=len)[0])  # of the routes that lack the fewest
        raise NoModel({name: bytes(value).decode() for name, value in present.items()})


def match_value(value: msgspec.Raw) -> str | float | None:
    """Decode a value that entries can match on, text or a number; return None for any other."""
    try:
        decoded: str | float = _TEXT_OR_NUMBER.decode(value)
    except ValueError:
        return None
    return decoded
