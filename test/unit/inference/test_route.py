from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import InvalidModels, MissingField, NoModel, WrongType
from tidemill.inference.codec import Fields, decode_fields, require_text
from tidemill.inference.route import Route, Router, Variant, single_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


def raw(fields: dict[str, Any]) -> Fields:
    """Return fields as they are decoded from a message."""
    return decode_fields(json.dumps(fields))


def router(specs: Iterable[ModelSpec]) -> Router:
    """Return a router with a route for each entry."""
    return Router(single_routes(specs))


@pytest.fixture(scope="session")
def specs(make_spec: MakeSpec) -> list[ModelSpec]:
    """Entries that match on none, one and two fields."""
    return [
        make_spec(name="all"),
        make_spec(name="en", match={"lang": "en"}),
        make_spec(name="fr", match={"lang": "fr"}),
        make_spec(name="en-legal", match={"lang": "en", "domain": "legal"}),
    ]


class TestRoute:
    """The most specific entry answers a message."""

    @pytest.mark.parametrize(
        ("fields", "name"),
        [
            ({"lang": "en"}, "en"),
            ({"lang": "fr", "domain": "legal"}, "fr"),
            ({"lang": "en", "domain": "legal"}, "en-legal"),
            ({"lang": "en", "domain": "sport"}, "en"),
            ({"domain": "legal"}, "all"),
            ({"lang": None}, "all"),
            ({}, "all"),
        ],
    )
    def test_most_specific(self, specs: list[ModelSpec], fields: dict[str, Any], name: str) -> None:
        """It wins in any order of the entries."""
        for order in itertools.permutations(specs):
            assert router(order).route(raw(fields)).name == f"{name}:1"

    def test_other_fields(self, specs: list[ModelSpec]) -> None:
        """Fields that no entry matches on may be of any type."""
        assert router(specs).route(raw({"lang": "fr", "text": 3})).name == "fr:1"

    def test_exact(self, specs: list[ModelSpec]) -> None:
        """Values are compared exactly, including case and white space."""
        assert router(specs).route(raw({"lang": "EN"})).name == "all:1"
        assert router(specs).route(raw({"lang": "en "})).name == "all:1"


class TestNumbers:
    """An entry may match on whole numbers."""

    @pytest.mark.parametrize(
        ("value", "name"),
        [
            ("3", "three"), ("3.0", "three"), ("1", "one"), ('"3"', "text"),
            ("true", "other"), ("1.5", "other"), ("null", "other"),
            ("12345678901234567890", "large"), ("12345678901234567891", "other"),
        ],
    )  # fmt: skip
    def test_match(self, make_spec: MakeSpec, value: str, name: str) -> None:
        """Numbers are compared as numbers; text with the same digits is another value."""
        kinds = {"one": 1, "three": 3, "text": "3", "large": 12345678901234567890}
        entries = [make_spec(name=name, match={"kind": kind}) for name, kind in kinds.items()]
        routes = router([*entries, make_spec(name="other")])
        assert routes.route(decode_fields(f'{{"kind": {value}}}')).name == f"{name}:1"


class TestNoEntry:
    """If no entry matches, the error says why."""

    def test_unknown_value(self, specs: list[ModelSpec]) -> None:
        """An unknown value is named with its field."""
        with pytest.raises(NoModel, match='lang="xx"'):
            router(specs[1:3]).route(raw({"lang": "xx"}))

    @pytest.mark.parametrize("fields", [{}, {"lang": None}, {"text": "x"}])
    def test_missing_field(self, specs: list[ModelSpec], fields: dict[str, Any]) -> None:
        """A missing or null field is named."""
        with pytest.raises(MissingField, match="'lang'"):
            router(specs[1:3]).route(raw(fields))

    @pytest.mark.parametrize("value", [1, 1.5, True, [], {}, "xx", [[[]]]])
    def test_other_value(self, specs: list[ModelSpec], value: object) -> None:
        """An unknown value of any type is shown as the message has it."""
        with pytest.raises(NoModel) as caught:
            router(specs[1:]).route(raw({"lang": value}))
        assert str(caught.value) == f"no entry of models.yaml matches lang={json.dumps(value)}"
        assert router(specs).route(raw({"lang": value})).name == "all:1"

    def test_unreadable_value(self, specs: list[ModelSpec]) -> None:
        """A number too large for any type is an unknown value."""
        assert router(specs).route(decode_fields('{"lang": 1e999}')).name == "all:1"

    def test_long_value(self, specs: list[ModelSpec]) -> None:
        """A long value is cut, and several lines become one."""
        with pytest.raises(NoModel) as caught:
            router(specs[1:]).route(decode_fields(f'{{"lang": [\n"{"x" * 9999}"]}}'))
        assert str(caught.value).startswith('no entry of models.yaml matches lang=[ "xxx')
        assert len(str(caught.value)) < 300

    def test_no_entries(self) -> None:
        """Without entries no message is routed."""
        with pytest.raises(NoModel):
            router([]).route(raw({"lang": "en"}))


class TestDuplicates:
    """Two entries for the same messages are refused by the constructor."""

    def test_same_match(self, make_spec: MakeSpec) -> None:
        """Both are named, whatever the order of their fields."""
        one = make_spec(name="one", match={"a": "1", "b": "2"})
        two = make_spec(name="two", match={"b": "2", "a": "1"})
        with pytest.raises(InvalidModels, match="one:1 and two:1 match the same"):
            router([one, two])

    def test_two_for_all(self, make_spec: MakeSpec) -> None:
        """Only one entry may match every message."""
        with pytest.raises(InvalidModels):
            router([make_spec(name="one"), make_spec(name="two")])


class TestText:
    """A field that must be text."""

    def test_text(self) -> None:
        """Empty text is text."""
        assert require_text(raw({"a": ""}), "a") == ""

    @pytest.mark.parametrize("fields", [{}, {"a": None}])
    def test_missing(self, fields: dict[str, Any]) -> None:
        """Missing and null are the same."""
        with pytest.raises(MissingField):
            require_text(raw(fields), "a")

    def test_mistyped(self) -> None:
        """Another type is refused."""
        with pytest.raises(WrongType):
            require_text(raw({"a": 1}), "a")


RELEASED = "aababbabaababbababbaabab"
KEYS = st.binary(max_size=30) | st.text(max_size=30)
WEIGHTS = st.lists(st.integers(1, 100), min_size=1, max_size=5)


@st.composite
def routes(draw: st.DrawFn, weights: st.SearchStrategy[list[int]] = WEIGHTS) -> Route:
    """Build a route whose variants are named by their position."""
    variants = [
        Variant(make_spec(version=str(number)), weight)
        for number, weight in enumerate(draw(weights))
    ]
    return Route(draw(st.text(max_size=9)), {}, tuple(variants))


def split(route: Route, count: int = 10_000) -> Counter[str]:
    """Return how many of the first keys each variant gets."""
    return Counter(route.choose(str(number)).version for number in range(count))


class TestChoose:
    """A route's variants share the keys in proportion to their weights."""

    @given(routes(), KEYS)
    def test_sticky(self, route: Route, key: bytes | str) -> None:
        """A key always gets the same variant, whether it is text or its UTF-8 bytes."""
        chosen = route.choose(key)
        assert chosen in [variant.spec for variant in route.variants]
        data = key.encode(errors="surrogatepass") if isinstance(key, str) else key
        assert route.choose(data) is chosen is route.choose(key)

    def test_same_in_every_release(self) -> None:
        """These are the choices of the first release; a change would move users between models."""
        route = Route(
            "test", {}, (Variant(make_spec(version="a")), Variant(make_spec(version="b")))
        )
        assert "".join(route.choose(f"user-{n}").version for n in range(24)) == RELEASED

    @given(routes())
    @settings(max_examples=20)
    def test_shares(self, route: Route) -> None:
        """Each variant's share is its weight's, within five standard deviations."""
        total, counts = sum(variant.weight for variant in route.variants), split(route)
        for variant in route.variants:
            share = variant.weight / total
            spread = 5 * (10_000 * share * (1 - share)) ** 0.5
            assert abs(counts[variant.spec.version] - 10_000 * share) <= spread

    @given(routes(st.just([50, 50])), st.integers(1, 49))
    @settings(max_examples=20)
    def test_new_weights(self, route: Route, less: int) -> None:
        """If the first weight falls, its keys move to the second, and no key moves back."""
        first, second = route.variants
        changed = Route(
            route.name, {}, (Variant(first.spec, 50 - less), Variant(second.spec, 50 + less))
        )
        for key in map(str, range(1000)):
            if route.choose(key) is second.spec:
                assert changed.choose(key) is second.spec

    def test_independent(self) -> None:
        """Two routes split the same keys independently."""
        variants = Variant(make_spec(version="a")), Variant(make_spec(version="b"))
        one, two = Route("one", {}, variants), Route("two", {}, variants)
        both = sum(one.choose(str(n)) is two.choose(str(n)) for n in range(10_000))
        assert 4750 < both < 5250

    def test_one_variant(self) -> None:
        """A single variant gets every key, whatever its weight."""
        spec = make_spec()
        assert Route("r", {}, (Variant(spec, 7),)).choose(b"") is spec
