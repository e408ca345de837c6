"""A generated sample meets its schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.inference.schema_sample import sample_of_schema


def check(schema: dict[str, Any] | bool) -> None:
    """Assert that the schema allows its own sample."""
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(sample_of_schema(schema), schema, jsonschema.Draft202012Validator)


class TestNamed:
    """A value that the schema names comes first."""

    @pytest.mark.parametrize(
        ("schema", "sample"),
        [
            ({"const": None, "type": ["null", "string"]}, None),
            ({"type": "number", "default": 2.5}, 2.5),
            ({"type": "string", "examples": ["Lyon", "Paris"]}, "Lyon"),
            ({"enum": [3, 1]}, 3),
            ({"type": "integer", "examples": [], "minimum": 7}, 7),
            ({"anyOf": [{"const": 1}, {"const": 2}]}, 1),
        ],
        ids=str,
    )
    def test_value(self, schema: dict[str, Any], sample: object) -> None:
        """It is the sample."""
        assert sample_of_schema(schema) == sample
        check(schema)


class TestTypes:
    """Otherwise the type decides."""

    @pytest.mark.parametrize(
        ("schema", "sample"),
        [
            (True, None),
            ({}, None),
            ({"type": "null"}, None),
            ({"type": ["null", "boolean"]}, False),
            ({"type": "string"}, "a"),
            ({"type": "string", "maxLength": 0}, ""),
            ({"type": "string", "minLength": 3}, "aaa"),
            ({"type": "string", "contentEncoding": "base64"}, "aaaa"),
            ({"type": "string", "format": "date-time"}, "2000-01-01T00:00:00Z"),
            ({"type": "array", "items": {"type": "boolean"}}, [False]),
            ({"type": "array", "items": {"type": "boolean"}, "maxItems": 0}, []),
            ({"type": "array", "minItems": 2}, [None, None]),
            ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [0, "a"]),
            ({"properties": {"a": {"type": "integer"}}, "required": ["b"]}, {"a": 0, "b": None}),
        ],
        ids=str,
    )
    def test_value(self, schema: dict[str, Any], sample: object) -> None:
        """It gives the simplest value that is not empty."""
        assert sample_of_schema(schema) == sample
        check(schema)

    def test_whole(self) -> None:
        """The sample of an integer is one in Python too, so that JSON has no decimal point."""
        assert isinstance(sample_of_schema({"type": "integer", "minimum": 0.5}), int)


class TestCombined:
    """Keywords that combine schemas."""

    def test_all(self) -> None:
        """A value meets all of `allOf` and what stands beside it."""
        schema = {
            "type": "object",
            "required": ["a"],
            "allOf": [
                {"properties": {"a": {"type": "string"}}, "required": ["b"]},
                {"properties": {"b": {"type": "integer", "minimum": 5}}},
            ],
        }
        assert sample_of_schema(schema) == {"a": "a", "b": 5}
        check(schema)

    @pytest.mark.parametrize("key", ["anyOf", "oneOf"])
    def test_one(self, key: str) -> None:
        """Of several schemas, the first that is not null."""
        schema = {key: [{"type": "null"}, {"type": "integer"}], "minimum": 3}
        assert sample_of_schema(schema) == 3
        check(schema)

    def test_reference(self) -> None:
        """A reference into the same schema, whose name needs escaping."""
        schema = {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer", "minimum": 2}}}
        assert sample_of_schema(schema) == 2
        check(schema)

    def test_recursion(self) -> None:
        """A schema that refers to itself has a sample that ends."""
        schema = {
            "type": "object",
            "properties": {"next": {"$ref": "#"}, "all": {"type": "array", "items": {"$ref": "#"}}},
        }
        assert set(sample_of_schema(schema)) == {"next", "all"}
        check(schema)


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Generate schemas that can be met."""
    bounds = st.lists(st.integers(-50, 50), min_size=2, max_size=2, unique=True).map(sorted)
    wide = bounds.filter(lambda pair: pair[1] - pair[0] > 1)
    low, high = (
        st.sampled_from(["minimum", "exclusiveMinimum"]),
        st.sampled_from(["maximum", "exclusiveMaximum"]),
    )
    ranges = st.builds(lambda a, b, pair: {a: pair[0], b: pair[1]}, low, high, wide)
    half_open = st.builds(lambda key, value: {key: value}, st.one_of(low, high), st.integers())
    numbers = st.builds(
        lambda kind, limits: {"type": kind, **limits},
        st.sampled_from(["integer", "number", ["integer", "null"]]),
        st.one_of(ranges, half_open, st.just({}), st.just({"multipleOf": 3, "minimum": 4})),
    )
    texts = st.builds(
        lambda pair: {"type": "string", "minLength": pair[0], "maxLength": pair[1]},
        st.tuples(st.integers(0, 5), st.integers(5, 9)),
    )
    simple = st.one_of(numbers, texts, st.just({"type": "boolean"}), st.just({"type": "null"}))
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds(
                lambda items, count: {"type": "array", "items": items, "minItems": count},
                inner,
                st.integers(0, 3),
            ),
            st.dictionaries(st.text(max_size=3), inner, max_size=4).map(
                lambda fields: {
                    "type": "object",
                    "properties": fields,
                    "required": list(fields)[:2],
                    "additionalProperties": False,
                }
            ),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        ),
        max_leaves=8,
    )


class TestAny:
    """Any schema of the keywords that are respected."""

    @given(schemas())
    def test_meets(self, schema: dict[str, Any]) -> None:
        """Allows its sample, by the judgement of another implementation."""
        check(schema)
