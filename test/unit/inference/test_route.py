from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.errors import InvalidModels, MissingField, NoModel, WrongType
from tidemill.inference.codec import Fields, decode_fields, require_text
from tidemill.inference.route import Router, single_routes

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

    def test_nearest_route(self, make_spec: MakeSpec) -> None:
        """The missing field is one of the route that lacks the fewest."""
        one = make_spec(name="a", match={"a": 1})
        three = make_spec(name="b", match={"x": 1, "y": 1, "z": 1})
        with pytest.raises(MissingField, match="'a'"):
            router([one, three]).route(raw({"x": 1}))
        with pytest.raises(MissingField, match="'z'"):
            router([one, three]).route(raw({"x": 1, "y": 1}))

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
