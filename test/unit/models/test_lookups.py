"""Tests of the look-ups of an entry."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import InvalidModels
from tidemill.inference.model import Lookup
from tidemill.inference.route import all_specs
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.model import ModelSpec

    Load = Callable[..., list[ModelSpec]]

ONE = "- {table: people, key: person}"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return what reads an entry with look-ups, each a line of YAML, and other fields."""

    def read(lookup: str, more: str = "") -> list[ModelSpec]:
        text = (
            "models:\n- name: m\n  version: 1\n  adapter: x:Y\n  lookup:\n"
            + indent(lookup, "  ")
            + f"\n{indent(more, '  ')}\n"
        )
        (tmp_path / "models.yaml").write_text(text, "utf-8")
        return [*all_specs(catalogue.load_models(tmp_path / "models.yaml"))]

    return read


class TestRead:
    """Short forms become what a look-up needs."""

    def test_short(self, load: Load) -> None:
        """A table and a key suffice."""
        (spec,) = load(ONE)
        assert spec.lookup == (Lookup(table="people", key=("person",)),)

    def test_full(self, load: Load) -> None:
        """A list of columns keeps their names; an age has a unit."""
        (spec,) = load(
            "- table: people\n"
            "  key: [country, person]\n"
            "  columns: [age]\n"
            "  default: {age: null}\n"
            "  max_age: 1.5 h\n"
            "  time: ordered_at"
        )
        assert spec.lookup == (
            Lookup(
                table="people",
                key=("country", "person"),
                columns={"age": "age"},
                default={"age": None},
                max_age=5400,
                time="ordered_at",
            ),
        )

    @pytest.mark.parametrize(
        ("age", "seconds"), [("90", 90), ("0.5", 0.5), ("30s", 30), ("15 min", 900), ("1d", 86_400)]
    )
    def test_age(self, load: Load, age: str, seconds: float) -> None:
        """An age is seconds, or has a unit."""
        (spec,) = load(f"- {{table: people, key: person, max_age: {age}}}")
        assert spec.lookup[0].max_age == seconds

    def test_variants(self, load: Load) -> None:
        """A variant may look up another table, or none."""
        other = "{version: 2, lookup: [{table: x, key: y}]}"
        specs = load(ONE, f"variants: {{a: {{}}, b: {other}, c: {{version: 3, lookup: []}}}}")
        assert [[each.table for each in spec.lookup] for spec in specs] == [["people"], ["x"], []]


class TestMistakes:
    """A mistake is reported with its line, before anything runs."""

    @pytest.mark.parametrize(
        ("lookup", "more", "problem"),
        [
            ("- {table: people}", "", "line 6: m: lookup.0: missing the required key"),
            ("- {table: a, key: b, kolumns: [c]}", "", "there is no field kolumns, did you mean"),
            ("- {table: a, key: b, columns: []}", "", "lookup.0: columns: Expected `array` of len"),
            ("- people", "", "line 6: m: lookup.0: must be a mapping"),
            ("- {table: a, key: b, max_age: soon}", "", "'soon' is no age: a number and one of"),
            ("- {table: a, key: b, max_age: 0 d}", "", "'0 d' is no age"),
            ("- {table: a, key: b, max_age: 0}", "", "max_age: Expected `float` > 0"),
            ("- {table: a, key: b, columns: [c], default: {d: 1}}", "", "d is none of the fields"),
            (f"{ONE}\n- {{table: a, key: b, columns: [c]}}", "", "several tables need `columns`"),
            (
                "- {table: a, key: b, columns: [c]}\n- {table: d, key: b, columns: {e: c}}",
                "",
                "several columns become the field c",
            ),
            (ONE, "payload: text", "needs a payload that is an object"),
            (ONE, "sample: a text", "and a `sample` that is one"),
            (ONE, "result: features", "'features' is a reserved field of every result"),
            (ONE, "echo: [features]", "'features' is a reserved field of every result"),
        ],
    )
    def test_problem(self, load: Load, lookup: str, more: str, problem: str) -> None:
        """The message names the field."""
        with pytest.raises(InvalidModels) as caught:
            load(lookup, more)
        assert problem in str(caught.value) or problem in " ".join(caught.value.problems)

    def test_features_without_look_up(self, load: Load) -> None:
        """Other entries may have a field of this name."""
        assert load("  []", "result: features")[0].result == "features"
