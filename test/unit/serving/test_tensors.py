"""Tests of tensors: their binary form, and the way to a model's inputs and from its outputs."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import InvalidInput, InvalidRequest
from tidemill.inference.malformed import describe_json_error
from tidemill.inference.schema import violations
from tidemill.serving import rows, tensors
from tidemill.serving.tensors import BYTES, FORMATS, Tensor

TEXT = make_spec()
JSON = make_spec(is_text=False)
INTEGERS = {name: code for name, code in FORMATS.items() if "INT" in name}
FLOATS = {"FP16": 16, "FP32": 32, "FP64": 64}
FINITE = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=6,
)


def elements(datatype: str) -> st.SearchStrategy[Any]:
    """Return the values that a data type has."""
    if datatype == BYTES:
        return st.text(max_size=20)
    if datatype == "BOOL":
        return st.booleans()
    if datatype in FLOATS:
        return st.floats(allow_nan=False, width=FLOATS[datatype])  # type: ignore[arg-type]
    return st.integers(*bounds(datatype))


def bounds(datatype: str) -> tuple[int, int]:
    """Return the least and the greatest integer of a data type."""
    bits = 8 * struct.calcsize("<" + FORMATS[datatype])
    return (0, 2**bits - 1) if datatype[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@st.composite
def any_tensor(draw: st.DrawFn) -> Tensor:
    """Return a tensor of any data type and shape."""
    datatype = draw(st.sampled_from([*FORMATS, BYTES]))
    shape = [
        draw(st.integers(0, 4)),
        *draw(st.lists(st.integers(1, 3), max_size=2)),
    ]
    size = math.prod(shape)
    data = draw(st.lists(elements(datatype), min_size=size, max_size=size))
    return Tensor(name="x", datatype=datatype, shape=shape, data=data)


def tensor(datatype: str, shape: list[int], *data: object, name: str = "input") -> Tensor:
    """Return a tensor."""
    return Tensor(name=name, datatype=datatype, shape=shape, data=list(data))


class TestBinary:
    """The binary form of tensors."""

    @given(any_tensor())
    def test_round_trip(self, one: Tensor) -> None:
        """Unpacking a packed tensor gives its elements, whatever its type."""
        assert tensors.unpack(one.datatype, tensors.pack(one)) == one.data

    @given(st.sampled_from([*FORMATS, BYTES, "FP8", ""]), st.binary(max_size=60))
    def test_any_bytes(self, datatype: str, content: bytes) -> None:
        """Bytes are a tensor, or the request is malformed."""
        try:
            data = tensors.unpack(datatype, content)
        except InvalidRequest:
            return
        again = tensors.unpack(datatype, tensors.pack(tensor(datatype, [len(data)], *data)))
        assert repr(again) == repr(data)  # NaN is not equal to itself

    def test_length(self) -> None:
        """An element whose length exceeds the rest is refused."""
        with pytest.raises(InvalidRequest, match="4294967295 bytes is cut off"):
            tensors.unpack(BYTES, b"\xff\xff\xff\xffabc")


class TestCheck:
    """A tensor's data has its type, and fills its shape."""

    @given(any_tensor())
    def test_good(self, one: Tensor) -> None:
        """What fits is returned."""
        assert tensors.check(one) is one

    @given(any_tensor(), st.integers(-3, 3).filter(bool))
    def test_count(self, one: Tensor, more: int) -> None:
        """Too many and too few elements are refused."""
        one.data = [*one.data, *[one.data[0] if one.data else None] * 3][: len(one.data) + more]
        if len(one.data) != math.prod(one.shape):
            with pytest.raises(InvalidRequest, match="do not fill"):
                tensors.check(one)

    @pytest.mark.parametrize("shape", [[], [-1], [2, 0], [1, -1], [-1, -1], [-2, -1, 3]])
    def test_shape(self, shape: list[int]) -> None:
        """A shape has a dimension, and only the first can be 0."""
        with pytest.raises(InvalidRequest, match="is not a valid shape"):
            tensors.check(tensor("INT64", shape, 1))

    @pytest.mark.parametrize(
        ("datatype", "element"),
        [
            (BYTES, 1),
            (BYTES, ["a"]),
            ("BOOL", 1),
            ("INT8", True),
            ("INT64", 1.0),
            ("INT64", "1"),
            ("FP64", "1"),
            ("FP32", False),
            ("FP64", {}),
        ],
    )
    def test_type(self, datatype: str, element: object) -> None:
        """An element of another type is refused."""
        with pytest.raises(InvalidRequest, match=f"is not a valid {datatype}"):
            tensors.check(tensor(datatype, [1], element))

    @pytest.mark.parametrize("datatype", INTEGERS)
    def test_range(self, datatype: str) -> None:
        """An integer outside the range of its type is refused."""
        low, high = bounds(datatype)
        tensors.check(tensor(datatype, [3], low, None, high))
        for beyond in (low - 1, high + 1, 10**400):
            with pytest.raises(InvalidRequest, match=f"not a valid {datatype}"):
                tensors.check(tensor(datatype, [1], beyond))

    def test_float_range(self) -> None:
        """A number that is too large for its type is refused."""
        for datatype, beyond in (("FP64", 10**400), ("FP32", 1e300), ("FP16", 1e6)):
            with pytest.raises(InvalidRequest, match=f"not a valid {datatype}"):
                tensors.check(tensor(datatype, [1], beyond))

    def test_datatype(self) -> None:
        """An unknown data type is refused, with those that there are."""
        with pytest.raises(
            InvalidRequest, match=r"there is no datatype 'STRING'; use BOOL, .*BYTES"
        ):
            tensors.check(tensor("STRING", [1], "a"))


class TestToInputs:
    """One input for each row of the tensors."""

    @given(st.lists(st.text(), max_size=5))
    def test_texts(self, texts: list[str]) -> None:
        """A model of texts gets the elements."""
        assert rows.to_inputs(TEXT, [tensor(BYTES, [len(texts)], *texts)]) == texts

    @pytest.mark.parametrize(
        "wrong",
        [
            [tensor("INT64", [1], 1)],
            [tensor(BYTES, [1], None)],
            [tensor(BYTES, [1], "a"), tensor(BYTES, [1], "b")],
        ],
    )
    def test_no_texts(self, wrong: list[Tensor]) -> None:
        """A model of texts takes nothing else."""
        with pytest.raises(InvalidRequest, match="takes texts"):
            rows.to_inputs(TEXT, wrong)

    def test_texts_of_many_dimensions(self) -> None:
        """A row has one text."""
        for spec in (TEXT, JSON):
            assert rows.to_inputs(spec, [tensor(BYTES, [2, 1], "1", "2")]) == ["1", "2"]
            with pytest.raises(InvalidRequest, match="more than one text in a row"):
                rows.to_inputs(spec, [tensor(BYTES, [1, 2], "1", "2")])

    @given(st.lists(VALUES, max_size=4))
    def test_json_texts(self, values: list[object]) -> None:
        """Another model gets the elements of BYTES as they are, and null for a null."""
        texts = [None if value is None else json.dumps(value) for value in values]
        inputs = rows.to_inputs(JSON, [tensor(BYTES, [len(texts)], *texts)])
        assert [json.loads(str(text)) for text in inputs] == values

    @pytest.mark.parametrize("text", ["", "a", "[1", "NaN", '"\\ud800"', "[" * 5000 + "]" * 5000])
    def test_no_json_texts(self, text: str) -> None:
        """A text that is not JSON is an error in its place; the other rows stay."""
        first, wrong, last = rows.to_inputs(JSON, [tensor(BYTES, [3], "1", text, "2")])
        assert (first, last) == ("1", "2")
        assert isinstance(wrong, InvalidInput) == (describe_json_error(text) is not None)
        assert rows.to_inputs(TEXT, [tensor(BYTES, [1], text)]) == [text]

    @given(any_tensor().filter(lambda one: one.datatype != BYTES))
    def test_matrix(self, one: Tensor) -> None:
        """One tensor of numbers gives an element, or a nested list, for each row."""
        inputs = [json.loads(str(text)) for text in rows.to_inputs(JSON, [one])]
        assert len(inputs) == one.shape[0]
        assert tensors.flatten(inputs) == [
            None if isinstance(each, float) and math.isinf(each) else each for each in one.data
        ]
        for row in inputs:
            shape = []
            while isinstance(row, list):
                shape.append(len(row))
                row = row[0]  # noqa: PLW2901
            assert shape == one.shape[1:]

    def test_columns(self) -> None:
        """Several tensors are the fields of objects, in the order of the tensors."""
        columns = [
            tensor("INT64", [2], 1, None, name="b"),
            tensor(BYTES, [2], "x", "é", name="a"),
            tensor("FP64", [2, 2], 0.5, 1.5, 2.5, 3.5, name="c"),
        ]
        assert rows.to_inputs(JSON, columns) == [
            '{"b":1,"a":"x","c":[0.5,1.5]}',
            '{"b":null,"a":"é","c":[2.5,3.5]}',
        ]

    def test_one_column(self) -> None:
        """One tensor with the name of a field is a column."""
        one = tensor(BYTES, [1], "7", name="a")
        assert rows.to_inputs(JSON, [one], {"a": {}, "b": {}}) == ['{"a":"7"}']
        assert rows.to_inputs(JSON, [one], {"b": {}}) == ["7"]

    def test_columns_of_one(self) -> None:
        """A column of one value a row is a plain column, unless the field is an array."""
        columns = [tensor("INT64", [2, 1], 1, 2, name="a"), tensor("INT64", [2, 1], 3, 4, name="b")]
        fields = {"a": {"type": "number"}, "b": {"type": "array"}}
        assert rows.to_inputs(JSON, columns, fields) == ['{"a":1,"b":[3]}', '{"a":2,"b":[4]}']

    def test_rows_differ(self) -> None:
        """Columns of different lengths are refused."""
        with pytest.raises(InvalidRequest, match=r"\[1, 2\] rows"):
            rows.to_inputs(
                JSON, [tensor("INT64", [1], 1, name="a"), tensor("INT64", [2], 1, 2, name="b")]
            )

    def test_same_name(self) -> None:
        """Two columns of one name are refused: one would be lost."""
        with pytest.raises(InvalidRequest, match="'a'"):
            rows.to_inputs(
                JSON, [tensor("INT64", [1], 1, name="a"), tensor("INT64", [1], 2, name="a")]
            )

    def test_none(self) -> None:
        """A request has a tensor."""
        with pytest.raises(InvalidRequest, match="no tensor"):
            rows.to_inputs(JSON, [])


KINDS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers() | st.integers(-(2**63), 2**63 - 1) | st.just(3.0),
    "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(10**400),
    "string": st.text(),
}


@st.composite
def outputs_and_schema(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    """Return outputs and a schema, mostly one that they fit."""
    kind = draw(st.sampled_from([*KINDS, "object"]))
    count = draw(st.integers(0, 3))
    if kind != "object":
        values = KINDS[kind] if draw(st.booleans()) else SCALARS
        return [draw(values) for _ in range(count)], {"type": kind}
    names = draw(st.lists(st.sampled_from(["out", "a", "b"]), unique=True))
    kinds = {name: draw(st.sampled_from([*KINDS])) for name in names}
    schema: dict[str, Any] = {"properties": {name: {"type": kinds[name]} for name in names}}
    if draw(st.booleans()):
        schema["type"] = "object"
    required = {name: KINDS[kinds[name]] for name in names}
    rows = st.fixed_dictionaries(required, optional={"more": st.integers()})
    loose = st.dictionaries(st.sampled_from(["out", "a", "b"]), SCALARS)
    values = draw(st.sampled_from([rows, loose]))
    return [draw(values) for _ in range(count)], schema


class TestToOutputs:
    """Outputs become typed tensors, or JSON texts."""

    @given(outputs_and_schema())
    def test_any(self, case: tuple[list[Any], dict[str, Any]]) -> None:
        """The tensors have all values and can be written; nothing is lost."""
        values, schema = case
        texts = [json.dumps(value, ensure_ascii=False) for value in values]
        fitting = [
            (text, value)
            for text, value, problem in zip(texts, values, violations(schema, texts), strict=True)
            if not problem
        ]
        texts, values = [text for text, _ in fitting], [value for _, value in fitting]
        got = rows.to_outputs("out", texts, schema)
        for one in got:
            assert one.shape == [len(values)]
            tensors.check(one)
            back = tensors.unpack(one.datatype, tensors.pack(one))
            assert back == one.data
            assert one.datatype == "FP64" or [*map(type, back)] == [*map(type, one.data)]
        if [one.name for one in got] == ["out"] and got[0].data == texts:
            return  # JSON texts
        columns = {
            one.name: [*map(json.loads, one.data)] if one.parameters == rows.AS_JSON else one.data
            for one in got
        }
        for index, value in enumerate(values):
            row = {name: data[index] for name, data in columns.items()}
            expected = value if isinstance(value, dict) else {"out": value}
            assert row == dict.fromkeys(row) | expected  # what is missing is null

    @pytest.mark.parametrize(
        ("schema", "texts", "datatype"),
        [
            ({"type": "integer"}, ["1", "-2"], "INT64"),
            ({"type": "integer"}, ["1", "3.0"], BYTES),
            ({"type": "integer"}, [str(2**63)], BYTES),
            ({"type": "number"}, ["1", "0.5"], "FP64"),
            ({"type": "number"}, ["1" + "0" * 400], BYTES),
            ({"type": "boolean"}, ["true"], "BOOL"),
            ({"type": ["number", "null"]}, ["null"], BYTES),
            ({"type": "array"}, ["[1]"], BYTES),
            ({"type": "array", "items": {"type": "string"}}, ['["a"]'], BYTES),
            ({}, ["1"], BYTES),
            (None, ["1"], BYTES),
        ],
    )
    def test_types(self, schema: dict[str, Any] | None, texts: list[str], datatype: str) -> None:
        """The type is the schema's if all values fit."""
        (one,) = rows.to_outputs("out", texts, schema)
        assert one.datatype == datatype
        assert one.data == (texts if datatype == BYTES else [*map(json.loads, texts)])

    @pytest.mark.parametrize(
        ("texts", "shape"),
        [
            ([], [0, 0]),
            (["[1,2]"], [1, 2]),
            (["[1,2]", "[3,4]", "[5,6]"], [3, 2]),
            (["[]", "[]"], [2, 0]),
            (["[1]", "[1,2]"], None),
            (["[1]", "1"], None),
            (["[[1]]"], None),
            (["[0.5]"], None),
            (["null"], None),
        ],
    )
    def test_arrays(self, texts: list[str], shape: list[int] | None) -> None:
        """Arrays of numbers are a tensor if they are as long as one another, else JSON texts."""
        schema = {"type": "array", "items": {"type": "integer"}}
        (one,) = rows.to_outputs("out", texts, schema)
        if shape is None:
            assert (one.datatype, one.data, one.parameters) == (BYTES, texts, rows.AS_JSON)
        else:
            assert (one.datatype, one.shape) == ("INT64", shape)
            assert tensors.check(one) if 0 not in shape else one.data == []

    def test_nested_arrays(self) -> None:
        """A matrix in a field of an object is a tensor with three dimensions."""
        matrix = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
        schema = {"type": "object", "properties": {"m": matrix, "label": {"type": "string"}}}
        m, label = rows.to_outputs("out", ['{"m":[[1,2],[3,4]],"label":"x"}'], schema)
        assert (m.datatype, m.shape, m.data) == ("FP64", [1, 2, 2], [1, 2, 3, 4])
        assert label.data == ["x"]
        assert rows.describe("out", schema)[0]["shape"] == [-1, -1, -1]

    def test_strings(self) -> None:
        """A schema of strings gives the strings themselves, not JSON."""
        (one,) = rows.to_outputs("out", ['"a"', '"é"'], {"type": "string"})
        assert (one.datatype, one.data) == (BYTES, ["a", "é"])

    def test_columns(self) -> None:
        """The fields of an object become tensors."""
        schema = {
            "type": "object",
            "properties": {"p": {"type": "number"}, "label": {"type": "string"}},
        }
        probability, label = rows.to_outputs(
            "out", ['{"p":0.5,"label":"x"}', '{"label":"y","p":1}'], schema
        )
        assert (probability.name, probability.datatype, probability.data) == ("p", "FP64", [0.5, 1])
        assert (label.name, label.datatype, label.data) == ("label", BYTES, ["x", "y"])

    def test_other_fields(self) -> None:
        """If a row has other fields, the rows are JSON texts."""
        schema = {"type": "object", "properties": {"p": {"type": "number"}}}
        texts = ['{"p":1}', '{"p":1,"more":2}']
        (one,) = rows.to_outputs("out", texts, schema)
        assert (one.name, one.datatype, one.data) == ("out", BYTES, texts)

    @pytest.mark.parametrize("text", ['{"p":null,"q":"x"}', '{"q":"x"}'])
    def test_null(self, text: str) -> None:
        """A column with a null has JSON texts; the others keep their types."""
        properties = {"p": {"type": "number"}, "q": {"type": "string"}}
        schema = {"type": "object", "properties": properties}
        first, second = rows.to_outputs("out", ['{"p":1,"q":"null"}', text], schema)
        assert (first.datatype, first.data, first.parameters) == (
            BYTES,
            ["1", "null"],
            rows.AS_JSON,
        )
        assert (second.datatype, second.data, second.parameters) == (BYTES, ["null", "x"], {})

    def test_failed(self) -> None:
        """The columns stay if a row fails; it has its error in each of them."""
        properties = {"p": {"type": "number"}, "q": {"type": "string"}}
        schema = {"type": "object", "properties": properties}
        texts = ['{"p":1,"q":"x"}', '{"error":"no"}']
        first, second = rows.to_outputs("out", texts, schema, {1})
        assert (first.name, first.data, first.parameters) == ("p", ["1", texts[1]], rows.AS_JSON)
        assert (second.name, second.data) == ("q", ['"x"', texts[1]])


class TestDescribe:
    """A model's metadata lists its tensors."""

    def test_columns(self) -> None:
        """An object of simple fields has a tensor for each."""
        properties = {"a": {"type": "integer"}, "b": {"type": "string"}}
        assert rows.describe("input", {"type": "object", "properties": properties}) == [
            {"name": "a", "datatype": "INT64", "shape": [-1]},
            {"name": "b", "datatype": "BYTES", "shape": [-1]},
        ]

    @pytest.mark.parametrize(
        "schema",
        [
            None,
            True,
            {},
            {"type": "array"},
            {"properties": {"a": {"type": "array"}}},
            {"properties": 7},
        ],
    )
    def test_json(self, schema: Any) -> None:  # noqa: ANN401 - whatever a model has
        """Anything else is one tensor of JSON texts."""
        expected = [{"name": "input", "datatype": "BYTES", "shape": [-1]}]
        assert rows.describe("input", schema) == expected
        assert rows.fields_of(schema) in ({}, {"a": {"type": "array"}})
        (one,) = rows.to_outputs("out", ["[1]"], schema)
        assert (one.datatype, one.data) == (BYTES, ["[1]"])

    @given(VALUES.filter(lambda value: isinstance(value, dict)))
    def test_any(self, schema: dict[str, Any]) -> None:
        """No schema, however strange, raises."""
        for each in (schema, {"properties": schema}, {"type": "object", "properties": schema}):
            assert rows.describe("input", each)


def test_dimensions() -> None:
    """A shape with a million dimensions is refused before anything is multiplied."""
    with pytest.raises(InvalidRequest, match="more than 32 dimensions"):
        tensors.check(Tensor(name="x", datatype="INT64", shape=[999_999_999] * 1_000_000))
