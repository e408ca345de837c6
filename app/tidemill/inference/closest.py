"""Find the entries that a message nearly matches, and the fields that differ."""

from __future__ import annotations

from difflib import SequenceMatcher
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tidemill.inference.codec import is_present
from tidemill.inference.route import match_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.inference.codec import Fields
    from tidemill.inference.route import Route

MAX_TEXT = 200  # characters of a value that are compared


class Difference(NamedTuple):
    """A field whose value is not what a route matches: both as JSON, and None for no value."""

    field: str
    wanted: str
    found: str | None


class NearMiss(NamedTuple):
    """A route that does not match a message, and the fields because of which it does not."""

    route: Route
    differences: tuple[Difference, ...]


def closest(routes: Iterable[Route], fields: Fields, limit: int = 3) -> list[NearMiss]:
    """Return the routes with the fewest fields that differ; of equals, those with nearer values."""
    missed = [NearMiss(route, _differences(route, fields)) for route in routes if route.match]
    return nsmallest(limit, missed, key=lambda miss: (len(miss.differences), -_likeness(miss)))


def matching(routes: Iterable[Route], fields: Fields) -> list[Route]:
    """Return the routes that match a message, of which the router takes the most specific."""
    matchable = (route for route in routes if route.match is not None)
    return [route for route in matchable if not _differences(route, fields)]


def _differences(route: Route, fields: Fields) -> tuple[Difference, ...]:
    return tuple(
        Difference(name, msgspec.json.encode(wanted).decode(), _json(fields, name))
        for name, wanted in (route.match or {}).items()
        if not is_present(fields, name) or match_value(fields[name]) != wanted
    )


def _json(fields: Fields, name: str) -> str | None:
    return bytes(fields[name]).decode() if name in fields else None


def _likeness(miss: NearMiss) -> float:
    """Return how many fields match, each that differs counted by how alike the two values are."""
    alike = sum(
        SequenceMatcher(None, each.wanted[:MAX_TEXT], (each.found or "")[:MAX_TEXT]).ratio()
        for each in miss.differences
    )
    return len(miss.route.match or {}) - len(miss.differences) + alike
