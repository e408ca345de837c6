"""The signature of an MLflow model becomes the schemas of its inputs and outputs."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tidemill.inference.schema_sample import sample_of_schema
from tidemill.models import signature

COLUMNS = [
    {"type": "long", "name": "age", "required": True},
    {"type": "long", "name": "visits", "required": False},
    {"type": "double", "name": "income", "optional": True},  # as older versions of MLflow wrote it
    {"type": "string", "name": "city"},
]
VALID = {"age": 30, "visits": 2, "income": 1.5, "city": "Lyon"}


def column(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a signature with one named column."""
    return {"inputs": json.dumps([{"name": "x", **spec}])}


def tensor(dtype: str, *shape: int, **more: str) -> dict[str, Any]:
    """Return the spec of a tensor."""
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}, **more}


def is_valid(schema: dict[str, Any] | None, value: object) -> bool:
    """Return whether a value meets a schema, by the judgement of another implementation."""
    assert schema is not None
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


class TestColumns:
    """Named columns make an object."""

    schema = signature.input_schema({"inputs": json.dumps(COLUMNS)})

    @pytest.mark.parametrize(
        "change",
        [{}, {"visits": None}, {"income": None}, {"income": 3}, {"uuid": "not for the model"}],
        ids=str,
    )
    def test_valid(self, change: dict[str, Any]) -> None:
        """A column that is not required may be null; the object may have more fields."""
        assert is_valid(self.schema, VALID | change)

    @pytest.mark.parametrize("missing", [["visits"], ["income"], ["visits", "income"]], ids=str)
    def test_optional(self, missing: list[str]) -> None:
        """It may be missing, too."""
        assert is_valid(self.schema, {k: v for k, v in VALID.items() if k not in missing})

    @pytest.mark.parametrize(
        "change",
        [{"age": None}, {"age": 1.5}, {"visits": "2"}, {"city": 7}, {"age": 2**63}, {"age": True}],
        ids=str,
    )
    def test_invalid(self, change: dict[str, Any]) -> None:
        """Another type is refused, and null if the column is required."""
        assert not is_valid(self.schema, VALID | change)

    @pytest.mark.parametrize("name", ["age", "city"])
    def test_required(self, name: str) -> None:
        """A required column must be there."""
        assert not is_valid(self.schema, {k: v for k, v in VALID.items() if k != name})


class TestTypes:
    """Each type of a column has its schema."""

    @pytest.mark.parametrize(
        ("spec", "good", "bad"),
        [
            ({"type": "boolean"}, [True], [1, "true"]),
            ({"type": "integer"}, [2**31 - 1, -(2**31)], [2**31, 0.5]),
            ({"type": "long"}, [2**63 - 1, -(2**63)], [2**63]),
            ({"type": "float"}, [1, 1.5], ["1"]),
            ({"type": "double"}, [1e300], [None]),
            ({"type": "string"}, [""], [1]),
            ({"type": "binary"}, ["aGk="], [1]),
            ({"type": "datetime"}, ["2026-11-29T10:00:00Z"], [1]),
            ({"type": "any"}, [1, None, "a", []], []),
            ({"type": "sparkml-vector"}, [[0.5]], []),
            ({"type": "array", "items": {"type": "double"}}, [[], [1, 2.5]], [1, ["a"], [None]]),
            ({"type": "map", "values": {"type": "long"}}, [{}, {"a": 1}], [{"a": "b"}, 1]),
            (
                {
                    "type": "object",
                    "properties": {
                        "a": {"type": "string"},
                        "b": {"type": "array", "items": {"type": "long"}, "required": False},
                    },
                },
                [{"a": "x"}, {"a": "x", "b": None}, {"a": "x", "b": [1]}],
                [{}, {"a": None}, {"a": "x", "b": ["y"]}],
            ),
        ],
        ids=lambda value: value.get("type") if isinstance(value, dict) else None,
    )
    def test_type(self, spec: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
        """It allows the type's values and no others; null only if the column is not required."""
        schema = signature.input_schema(column(**spec))
        for value in good:
            assert is_valid(schema, {"x": value}), value
        for value in bad:
            assert not is_valid(schema, {"x": value}), value
        optional = signature.input_schema(column(**spec, required=False))
        assert is_valid(optional, {"x": None})
        assert is_valid(optional, {})


class TestWithoutNames:
    """Columns without names."""

    def test_one(self) -> None:
        """One column is the value itself."""
        schema = signature.input_schema({"inputs": '[{"type": "string", "required": true}]'})
        assert is_valid(schema, "text")
        assert not is_valid(schema, {"text": "text"})

    def test_several(self) -> None:
        """Several are an array of as many values."""
        schema = signature.input_schema({"inputs": '[{"type": "long"}, {"type": "string"}]'})
        assert is_valid(schema, [1, "a"])
        for wrong in [[1], [1, "a", 2], ["a", 1], 1]:
            assert not is_valid(schema, wrong)


class TestTensors:
    """The first dimension of a tensor is the batch."""

    @pytest.mark.parametrize(
        ("spec", "good", "bad"),
        [
            (tensor("float32", -1), [1.5], [[1.5], "a"]),
            (tensor("int64", -1, 2), [[1, 2]], [[1], [1, 2, 3], 1, [0.5, 1]]),
            (tensor("float64", -1, -1, 1), [[], [[1], [2]]], [[1], [[1, 2]]]),
            (tensor("uint8", -1, 1), [[255]], [[256], [-1]]),
            (tensor("int8", -1, 1), [[-128]], [[128]]),
            (tensor("bool", -1), [True], [1]),
            (tensor("str", -1), ["a"], [1]),
            (tensor("object", -1), ["a", 1, None], []),
        ],
        ids=str,
    )
    def test_unnamed(self, spec: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
        """A row is a nested array without it."""
        schema = signature.input_schema({"inputs": json.dumps([spec])})
        for value in good:
            assert is_valid(schema, value), value
        for value in bad:
            assert not is_valid(schema, value), value

    def test_named(self) -> None:
        """Named tensors make an object."""
        specs = [tensor("float32", -1, 2, name="image"), tensor("int64", -1, name="label")]
        schema = signature.input_schema({"inputs": json.dumps(specs)})
        assert is_valid(schema, {"image": [0.5, 1], "label": 3})
        assert not is_valid(schema, {"image": [0.5, 1]})
        assert not is_valid(schema, {"image": 0.5, "label": 3})


class TestOutputs:
    """The schema of one output."""

    def test_values(self) -> None:
        """An array with one value for each row."""
        schema = signature.output_schema({"outputs": json.dumps([tensor("int64", -1)])})
        assert is_valid(schema, 1)
        assert not is_valid(schema, [1])

    def test_one_column(self) -> None:
        """One named column may come from a Series or from a table."""
        schema = signature.output_schema({"outputs": '[{"type": "double", "name": "price"}]'})
        assert is_valid(schema, 1.5)
        assert is_valid(schema, {"price": 1.5})
        assert not is_valid(schema, "1.5")
        assert not is_valid(schema, {"price": "1.5"})

    def test_table(self) -> None:
        """Several columns make an object."""
        outputs = [{"type": "double", "name": "low"}, {"type": "double", "name": "high"}]
        schema = signature.output_schema({"outputs": outputs})  # MLflow's own objects give lists
        assert is_valid(schema, {"low": 1, "high": 2})
        assert not is_valid(schema, 1)


class TestNone:
    """Nothing is known."""

    @pytest.mark.parametrize(
        "none", [None, {}, {"inputs": None, "outputs": None}, {"inputs": "[]"}]
    )
    def test_none(self, none: dict[str, Any] | None) -> None:
        """Without a signature, or without its side, there is no schema."""
        assert signature.input_schema(none) is None
        assert signature.output_schema(none) is None


class TestSample:
    """A sample can be generated from every schema."""

    @pytest.mark.parametrize(
        "inputs",
        [
            COLUMNS,
            [{"type": "string"}],
            [{"type": "long"}, {"type": "datetime", "required": False}],
            [{"type": "binary", "name": "b"}, {"type": "any", "name": "a"}],
            [tensor("float32", -1, 28, 28)],
            [tensor("uint8", -1, -1, name="x"), tensor("str", -1, name="y")],
        ],
        ids=str,
    )
    def test_valid(self, inputs: list[dict[str, Any]]) -> None:
        """It meets the schema, and leaves no column out."""
        schema = signature.input_schema({"inputs": json.dumps(inputs)})
        assert schema is not None
        sample = sample_of_schema(schema)
        assert is_valid(schema, sample)
        if "name" in inputs[0]:
            assert list(sample) == [spec["name"] for spec in inputs]
