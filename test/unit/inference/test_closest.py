from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import MessageError
from tidemill.inference.closest import closest, matching
from tidemill.inference.codec import decode_fields
from tidemill.inference.route import Router, single_routes

if TYPE_CHECKING:
    from tidemill.inference.codec import Fields
    from tidemill.inference.route import Route

ENTRIES = {
    "en": {"lang": "en"},
    "fr-2": {"lang": "fr", "kind": 2},
    "fr-3": {"lang": "fr", "kind": 3},
    "all": {},
}
VALUES = st.sampled_from(["en", "fr", "e", 2, 3, "2", None, [2]])


def routes(*names: str) -> tuple[Route, ...]:
    """Return the routes of these entries, or of all."""
    return single_routes(make_spec(name=n, match=ENTRIES[n]) for n in names or ENTRIES)


def fields(**values: Any) -> Fields:  # noqa: ANN401 - JSON
    """Return a message's fields."""
    return decode_fields(json.dumps(values))


class TestClosest:
    """The entries that nearly match come first, with the fields that differ."""

    def test_fewest_fields(self) -> None:
        """An entry that lacks one field of two is nearer than one that lacks both."""
        near, *_ = closest(routes("en", "fr-2"), fields(lang="fr", kind="2"))
        assert near.route.name == "fr-2:1"
        assert near.differences == (("kind", "2", '"2"'),)

    def test_nearest_value(self) -> None:
        """Of entries with the same number of differences, the most alike value comes first."""
        others = single_routes(make_spec(name=n, match={"lang": n}) for n in ("zz", "english", "e"))
        assert closest(others, fields(lang="englisch"))[0].route.name == "english:1"

    def test_missing(self) -> None:
        """A field that the message lacks has no value."""
        (near,) = closest(routes("en"), fields(kind=1))
        assert near.differences == (("lang", '"en"', None),)

    def test_limit(self) -> None:
        """Only so many are named, however many entries there are."""
        assert len(closest(routes(), fields(), limit=2)) == 2


class TestMatching:
    """The router takes one of the entries that match."""

    @given(st.dictionaries(st.sampled_from(["lang", "kind"]), VALUES))
    def test_router(self, values: dict[str, Any]) -> None:
        """An entry matches without differences exactly if the router could take it."""
        for some in (routes(), routes("en", "fr-2", "fr-3")):
            found = matching(some, fields(**values))
            try:
                assert Router(some).route(fields(**values)) in found
            except MessageError:
                assert not found
