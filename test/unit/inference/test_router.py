from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import InvalidModels, MissingField, NoModel, WrongType
from app.inference.router import Router, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


@pytest.fixture(scope="session")
def specs(make_spec: MakeSpec) -> list[ModelSpec]:
    """Entries of three depths."""
    return [
        make_spec(name="all"),
        make_spec(name="en", match={"lang": "en"}),
        make_spec(name="fr", match={"lang": "fr"}),
        make_spec(name="en-legal", match={"lang": "en", "domain": "legal"}),
    ]


class TestRoute:
    """The entry that says most about a message answers it."""

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
        """It wins whatever the order of the entries."""
        for order in itertools.permutations(specs):
            assert Router(order).route(fields).name == name

    def test_other_fields(self, specs: list[ModelSpec]) -> None:
        """Fields that no entry matches on may be of any type."""
        assert Router(specs).route({"lang": "fr", "text": 3}).name == "fr"

    def test_exact(self, specs: list[ModelSpec]) -> None:
        """Values are compared as they are, case and white space too."""
        assert Router(specs).route({"lang": "EN"}).name == "all"
        assert Router(specs).route({"lang": "en "}).name == "all"


class TestNoEntry:
    """Where none answers, the error says why."""

    def test_unknown_value(self, specs: list[ModelSpec]) -> None:
        """A value that no entry has is named with its field."""
        with pytest.raises(NoModel, match="lang='xx'"):
            Router(specs[1:3]).route({"lang": "xx"})

    @pytest.mark.parametrize("fields", [{}, {"lang": None}, {"text": "x"}])
    def test_missing_field(self, specs: list[ModelSpec], fields: dict[str, Any]) -> None:
        """An absent or null field is named."""
        with pytest.raises(MissingField, match="'lang'"):
            Router(specs[1:3]).route(fields)

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (1, "number"), (1.5, "number"), (True, "boolean"), ([], "array"), ({}, "object"),
        ],
    )  # fmt: skip
    def test_mistyped_field(self, specs: list[ModelSpec], value: object, kind: str) -> None:
        """A field of another type is named with its type, even where an entry answers all."""
        with pytest.raises(WrongType, match=f"'lang' must be text, not {kind}"):
            Router(specs).route({"lang": value})

    def test_no_entries(self) -> None:
        """Without entries nothing is answered."""
        with pytest.raises(NoModel):
            Router([]).route({"lang": "en"})


class TestDuplicates:
    """Two entries for the same messages are refused when the router is made."""

    def test_same_match(self, make_spec: MakeSpec) -> None:
        """Both are named, whatever the order of their fields."""
        one = make_spec(name="one", match={"a": "1", "b": "2"})
        two = make_spec(name="two", match={"b": "2", "a": "1"})
        with pytest.raises(InvalidModels, match="one:1 and two:1 answer the same"):
            Router([one, two])

    def test_two_for_all(self, make_spec: MakeSpec) -> None:
        """Only one entry may answer everything."""
        with pytest.raises(InvalidModels):
            Router([make_spec(name="one"), make_spec(name="two")])


class TestText:
    """A field that must be text."""

    def test_text(self) -> None:
        """Empty text is text."""
        assert text({"a": ""}, "a") == ""

    @pytest.mark.parametrize("fields", [{}, {"a": None}])
    def test_missing(self, fields: dict[str, Any]) -> None:
        """Absent and null are the same."""
        with pytest.raises(MissingField):
            text(fields, "a")

    def test_mistyped(self) -> None:
        """Another type is refused."""
        with pytest.raises(WrongType):
            text({"a": 1}, "a")
