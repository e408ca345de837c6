# No postponed annotations here: FeatureModel reads those of `predict`.
import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Annotated, Any, TypedDict

import jsonschema
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyarrow import compute

from tidemill import FeatureModel
from tidemill.errors import InvalidInput, InvalidModels, WrongOutputCount
from tidemill.inference.batch import predict_checked
from tidemill.models import tables

# Integers that are exact as floats, also doubled: a column of both is float64.
NUMBERS = st.integers(-(2**51), 2**51) | st.floats(allow_nan=False, allow_infinity=False)


@dataclass
class Point:
    a: float
    b: float = 0.5


class Place(TypedDict, total=False):
    a: float
    b: float


class Node(msgspec.Struct, forbid_unknown_fields=True):
    a: Annotated[int, msgspec.Meta(ge=0)]
    kind: str | None = None
    children: list["Node"] = []


class Row(msgspec.Struct):
    first: Point
    second: Point


class InPandas(FeatureModel):
    columns = ("a", "b")

    def predict(self, table: pd.DataFrame) -> pd.Series:
        """Return a Series."""
        return table["a"] * 2 + table["b"]


class InNumpy(FeatureModel):
    columns = ("a", "b")

    def predict(self, table: np.ndarray) -> NDArray[np.float64]:
        """Return an array."""
        with np.errstate(over="ignore"):
            return np.asarray(table[:, 0] * 2 + table[:, 1])


class InArrow(FeatureModel):
    columns = {"a": "float64", "b": "float64"}  # noqa: RUF012 - as users write it

    def predict(self, table: pa.Table) -> pa.ChunkedArray:
        """Return an Arrow array."""
        return compute.add(compute.multiply(table["a"], 2.0), table["b"])


class InRows(FeatureModel):
    def predict(self, table: list[Point]) -> list[float]:
        """Return a list."""
        return [row.a * 2 + row.b for row in table]


KINDS = [InPandas, InNumpy, InArrow, InRows]


class Anything(FeatureModel):
    """Return whatever the test wants; keep the table."""

    def __init__(self, returns: Any = None, columns: tables.Columns = ()) -> None:  # noqa: ANN401
        self.returns = returns
        self.columns = columns
        self.table: Any = None

    def predict(self, table):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - as users do
        """Return what the constructor got, or the table."""
        self.table = table
        return table if self.returns is None else self.returns


def texts(*values: object) -> list[str]:
    """Return values as JSON."""
    return [json.dumps(value) for value in values]


def answers(model: FeatureModel, *values: object) -> list[Any]:
    """Return a model's outputs for some inputs."""
    return [json.loads(output) for output in predict_checked(model, texts(*values))]


class TestBatch:
    """A batch changes no output."""

    @pytest.mark.parametrize("kind", KINDS)
    @given(rows=st.lists(st.fixed_dictionaries({"a": NUMBERS, "b": NUMBERS}), min_size=1))
    def test_rows(self, kind: type[FeatureModel], rows: list[dict[str, float]]) -> None:
        """Each row gets the output that it gets alone, whatever the numbers of the others are."""
        assert answers(kind(), *rows) == [answers(kind(), row)[0] for row in rows]

    @given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | NUMBERS), min_size=1))
    def test_missing(self, rows: list[dict[str, float | None]]) -> None:
        """A table keeps each number and each null; a missing field is null."""
        expected = [{name: row.get(name) for name in "abc"} for row in rows]
        assert answers(Anything(columns=list("abc")), *rows) == expected

    def test_once(self) -> None:
        """The model is called once for a batch."""
        model = Anything(returns=[1, 2, 3])
        answers(model, {"a": 1}, {"a": 2}, {"a": 3})
        assert len(model.table) == 3


class TestInputs:
    """An input is an object, an array or a single value."""

    @pytest.mark.parametrize("kind", [InPandas, InNumpy, InArrow])
    def test_shapes(self, kind: type[FeatureModel]) -> None:
        """If the columns are known, objects and arrays may share a batch; others are ignored."""
        inputs = {"b": 1, "z": {"deep": []}, "a": 2}, [2, 1], {"a": 2, "b": 1.0}
        assert answers(kind(), *inputs) == [5, 5, 5]

    def test_without_columns(self) -> None:
        """Objects bring their names, arrays are numbered."""
        model = Anything()
        assert answers(model, {"b": 1}, {"a": 2}) == [{"b": 1, "a": None}, {"b": None, "a": 2}]
        assert answers(model, [1, "x"], [2, "y"]) == [{"0": 1, "1": "x"}, {"0": 2, "1": "y"}]
        assert answers(model, 1.5, 2.5) == [{"0": 1.5}, {"0": 2.5}]

    def test_nested(self) -> None:
        """Cells may be arrays and objects."""
        rows = [{"a": [1, 2], "b": {"c": None}}, {"a": [3, 4], "b": {}}]
        assert answers(Anything(), *rows) == rows

    def test_tensor(self) -> None:
        """Nested arrays become a numpy array with more dimensions; the annotation sets its type."""

        class Image(FeatureModel):
            def predict(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
                assert table.dtype == np.float32
                return np.asarray(table.sum(axis=(1, 2)))

        assert answers(Image(), [[1, 2], [3, 4]], [[0, 0], [0, None]]) == [10, None]

    def test_number(self) -> None:
        """A single number is a row of one column, also for numpy."""

        class Double(FeatureModel):
            def predict(self, table: NDArray[np.int64]) -> NDArray[np.int64]:
                assert table.shape == (2, 1)
                return table * 2

        assert answers(Double(), 2**60, 3) == [[2**61], [6]]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "cannot read the input"),
            ("{a: 1}", "malformed"),
            ("[1] [2]", "malformed"),
            ('{"a": NaN}', "malformed"),
            ("[" * 100_000, "cannot read the input"),
            ('"\ud800"', "surrogates"),
            ("[1, 2, 3]", "3 values instead of 2"),
            ("7", "1 values instead of 2"),
        ],
    )
    def test_wrong(self, text: str, reason: str) -> None:
        """An input that is not JSON, or has other columns, is refused."""
        with pytest.raises(ValueError, match=reason):
            InPandas().predict_all([text])

    def test_mixed(self) -> None:
        """Without columns nobody knows the order of an object's fields."""
        with pytest.raises(ValueError, match="set the model's columns"):
            answers(Anything(), {"a": 1}, [1])
        with pytest.raises(ValueError, match="set the columns"):
            tables.array([{"a": 1}])


class TestTypes:
    """A column keeps the type of its values."""

    @pytest.mark.parametrize(
        ("cells", "dtype"),
        [
            ([1, 2], "int64"),
            ([1, None], "Int64"),
            ([2**60 + 1, None], "Int64"),
            ([1, 2.5, None], "float64"),
            ([None, None], "float64"),
            ([True, False], "bool"),
            ([True, None], "boolean"),
            (["a", None], "object"),
            ([True, 1], "object"),
            ([2**63, -1], "object"),
            ([2**70, None], "object"),
        ],
    )
    def test_pandas(self, cells: list[object], dtype: str) -> None:
        """Nulls make no floats of integers."""
        table = tables.frame([{"a": cell} for cell in cells])
        assert table["a"].dtype == dtype
        assert [None if pd.isna(cell) else cell for cell in table["a"]] == cells

    def test_given(self) -> None:
        """Types that the model gives do not depend on the batch."""
        columns = {"n": "Int64", "t": "string", "d": "datetime64[ns]", "f": "float64"}
        for row in {"n": 1, "t": "x", "d": "2026-01-02", "f": 1}, {}:
            assert list(tables.frame([row], columns).dtypes) == list(columns.values())
        table = tables.arrow_table([{}], {"n": "int32", "t": pa.string()})
        assert table.schema == pa.schema([("n", pa.int32()), ("t", pa.string())])

    @pytest.mark.parametrize(
        ("dtype", "wrong", "reason"),
        [
            ("int64", 1.7, "1.7 is not an integer"),
            ("int64", None, "null is not an integer"),
            ("int64", True, "true is not an integer"),
            ("uint8", 256, "256 is not an integer from 0 to 255"),
            ("int64", 2**63, "9223372036854775808 is not an integer"),
            ("Int64", 1.7, "1.7 is not an integer"),
            ("bool", None, "null is not true or false"),
            ("bool", "false", '"false" is not true or false'),
            ("boolean", 1, "1 is not true or false"),
            ("float64", "1", '"1" is not a number'),
            ("float64", True, "true is not a number"),
            ("float32", 1e300, "1e300 is not a number up to"),
            ("float64", 10**400, "is not a number up to"),
            ("float64", {}, "{} is not a number"),
        ],
    )
    def test_changed(self, dtype: str, wrong: object, reason: str) -> None:
        """A value that the type would change is refused; the error names its field."""
        rows: list[dict[str, Any]] = [{"a": True if "bool" in dtype else 1.0} for _ in range(2)]
        assert tables.frame(rows, {"a": dtype})["a"].tolist() == [1, 1]
        rows[1]["a"] = wrong
        with pytest.raises(InvalidInput, match=f"a: .*{reason}"):
            tables.frame(rows, {"a": dtype})
        if dtype not in {"Int64", "boolean"}:  # numpy has the type, too
            with pytest.raises(InvalidInput, match=f"a: .*{reason}"):
                tables.array(rows, ["a"], dtype)
            with pytest.raises(InvalidInput, match=f"the input: .*{reason}"):
                tables.array([[row["a"]] for row in rows], dtype=dtype)

    def test_exact(self) -> None:
        """Integers stay exact beside whole numbers with a point, and beside nulls."""
        assert tables.array([[2**53 + 1, 1.0]], dtype=np.int64).tolist() == [[2**53 + 1, 1]]
        column = tables.frame([{"a": 2**53 + 1}, {"a": 1.0}, {}], {"a": "Int64"})["a"]
        assert column.tolist() == [2**53 + 1, 1, pd.NA]

    @pytest.mark.parametrize("make", [tables.frame, tables.array, tables.arrow_table])
    def test_same_name(self, make: Any) -> None:  # noqa: ANN401 - a function
        """Two columns of the same name would lose a cell."""
        with pytest.raises(ValueError, match="a name occurs twice in the columns a, b, a"):
            make([[1, 2, 3]], ["a", "b", "a"])

    def test_arrow(self) -> None:
        """Arrow has nulls in every type."""
        table = tables.arrow_table([{"a": 1, "b": {"c": [1]}}, {"a": None, "b": None}])
        assert table.to_pylist() == [{"a": 1, "b": {"c": [1]}}, {"a": None, "b": None}]


class TestRows:
    """Typed rows check the inputs and describe them."""

    @pytest.mark.parametrize("row", [Point, Place, Node, Row])
    def test_schema(self, row: type) -> None:
        """The input schema is a valid JSON Schema, and its root says what an input is."""

        class Model(FeatureModel):
            def predict(self, table: list[row]) -> list[row]:  # type: ignore[valid-type]
                return table

        schema = Model.input_schema
        assert schema is not None
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert Model.output_schema == schema

    @pytest.mark.parametrize(
        ("row", "value", "fits"),
        [
            (Point, {"a": 1}, True),
            (Point, {"a": 1, "b": 2.5, "c": "more"}, True),
            (Point, {"b": 1}, False),
            (Point, {"a": None}, False),
            (Point, [1, 2], False),
            (Place, {}, True),
            (Place, {"a": "x"}, False),
            (Node, {"a": 1, "kind": None, "children": [{"a": 2}]}, True),
            (Node, {"a": 2.0, "children": [{"a": 3.0}]}, True),
            (Node, {"a": 2.5}, False),
            (Node, {"a": 1, "children": [{"a": -1}]}, False),
            (Node, {"a": 1, "more": 1}, False),
            (Row, {"first": {"a": 1}, "second": {"a": 2}}, True),
            (Row, {"first": {"a": 1}, "second": {}}, False),
        ],
    )
    def test_oracle(self, row: type, value: object, fits: bool) -> None:
        """The schema and the model accept the same inputs."""

        class Model(FeatureModel):
            def predict(self, table: list[row]) -> list[bool]:  # type: ignore[valid-type]
                return [True for _ in table]

        validator = jsonschema.Draft202012Validator(Model.input_schema)
        assert validator.is_valid(value) is fits
        if fits:
            assert answers(Model(), value) == [True]
        else:
            with pytest.raises(ValueError, match=r"Expected|missing|unknown"):
                answers(Model(), value)

    def test_own_schema(self) -> None:
        """Schemas that a class or an instance sets itself stay."""

        class Base(FeatureModel):
            input_schema = {"type": "object"}  # noqa: RUF012 - as users write it

            def predict(self, table: list[Point]) -> list[float]:
                return [row.a for row in table]

        class Derived(Base):
            sample = '{"a": 1}'

        assert Derived.input_schema == {"type": "object"}
        assert Derived.output_schema == {"type": "number"}
        assert Derived().sample == '{"a": 1}'

    def test_no_schema(self) -> None:
        """Tables of other libraries, and types that only Python has, give none."""

        class Objects(FeatureModel):
            def predict(self, table: list[Any]) -> list[ModuleType]:
                return table

        assert (Objects.input_schema, Objects.output_schema) == (None, None)
        assert (InPandas.input_schema, InPandas.output_schema) == (None, None)
        assert answers(Objects(), {"a": [1]}, "x") == [{"a": [1]}, "x"]


class TestOutputs:
    """Whatever holds one output for each row is encoded."""

    @pytest.mark.parametrize(
        ("returned", "expected"),
        [
            ([1, "a"], [1, "a"]),
            ((None, {"a": [1.5]}), [None, {"a": [1.5]}]),
            ([Point(1), Node(2)], [{"a": 1, "b": 0.5}, {"a": 2, "kind": None, "children": []}]),
            ([math.nan, -math.inf], [None, None]),
            ([np.float32(0.5), np.float64("nan")], [0.5, None]),
            ([np.int64(2**62), np.bool_(True)], [2**62, True]),
            ([np.str_("é"), np.array([1, 2])], ["é", [1, 2]]),
            ([{np.str_("a"): np.int8(1)}, {1: 2}], [{"a": 1}, {"1": 2}]),
            ([np.datetime64("2026-01-02"), np.datetime64("NaT")], ["2026-01-02T00:00:00", None]),
            ([pd.Timestamp("2026-01-02", tz="UTC"), pd.NaT], ["2026-01-02T00:00:00Z", None]),
            ([pd.Timedelta("36h"), pd.NA], ["P1DT43200S", None]),
            (
                [date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)],
                ["2026-01-02", "2026-01-02T00:00:00Z"],
            ),
            ([timedelta(1), Decimal("1.50")], ["P1D", "1.50"]),
            (np.array([1, 2]), [1, 2]),
            (np.array([1.5, np.inf]), [1.5, None]),
            (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
            (np.array([[["a"]], [["b"]]]), [[["a"]], [["b"]]]),
            (np.array(["2026-01-02T03", "NaT"], "datetime64[ns]"), ["2026-01-02T03:00:00", None]),
            (pd.Series([1, 2], index=[1, 0]), [1, 2]),
            (pd.Series([1, None], dtype="Int64"), [1, None]),
            (pd.Series(pd.to_datetime(["2026-01-02", None])), ["2026-01-02T00:00:00", None]),
            (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
            (
                pd.DataFrame({"a": [1, 2], 0: [0.5, np.nan]}),
                [{"a": 1, "0": 0.5}, {"a": 2, "0": None}],
            ),
            (pd.DataFrame({"a": pd.array([1, None], "Int64")}), [{"a": 1}, {"a": None}]),
            (pd.to_datetime(["2026-01-02", None]), ["2026-01-02T00:00:00", None]),
            (pd.to_timedelta(["36h", "1D"]), ["P1DT43200S", "P1D"]),
            (pa.array([1, None]), [1, None]),
            (pa.chunked_array([[1.5], [math.nan]]), [1.5, None]),
            (pa.table({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_encoded(self, returned: object, expected: list[object]) -> None:
        """JSON has the same values, and null for NaN, infinity and NaT."""
        assert answers(Anything(returned), 1, 2) == expected

    @pytest.mark.parametrize(
        "returned",
        [[1], [1, 2, 3], np.zeros(3), np.zeros((1, 2)), pd.Series([], dtype=float), pa.array([1])],
        ids=lambda value: type(value).__name__,
    )
    def test_count(self, returned: object) -> None:
        """Too few or too many rows are the engine's WrongOutputCount."""
        with pytest.raises(WrongOutputCount):
            answers(Anything(returned), 1, 2)

    @pytest.mark.parametrize("returned", ["ab", {"a": 1}, 7, np.float64(1), np.array(1), iter([1])])
    def test_no_rows(self, returned: object) -> None:
        """A text, a mapping or a number has no rows."""
        with pytest.raises(TypeError, match="has no rows"):
            answers(Anything(returned), 1, 2)

    @pytest.mark.parametrize(
        "returned",
        [
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            pd.DataFrame([[1, 2]], columns=["0", 0]),
            pa.table([[1], [2]], ["a", "a"]),
        ],
        ids=["pandas", "text", "arrow"],
    )
    def test_same_name(self, returned: object) -> None:
        """An object would lose one of two columns of the same name."""
        with pytest.raises(ValueError, match=r"several columns named [a0]$"):
            answers(Anything(returned), 1)

    @pytest.mark.parametrize("is_array", [False, True])
    def test_late(self, is_array: bool) -> None:
        """A time that Python lacks does not become a number."""
        time = np.datetime64("12000-01-01")
        with pytest.raises(ValueError, match="outside the years 1 to 9999"):
            answers(Anything(np.array([time]) if is_array else [time]), 1)

    def test_no_json(self) -> None:
        """A value that JSON lacks is refused by its type."""
        with pytest.raises(TypeError, match="complex"):
            answers(Anything([1j]), 1)


class TestAnnotations:
    """The annotation of the argument chooses the table; a wrong one is found with the class."""

    def test_default(self) -> None:
        """Without one, and with `Any`, it is a DataFrame."""

        class Open(Anything):
            def predict(self, table: Any) -> Any:  # noqa: ANN401 - the subject
                self.table = table
                return table

        for model in Anything(), Open():
            answers(model, {"a": 1})
            assert isinstance(model.table, pd.DataFrame)

    @pytest.mark.parametrize("wrong", [dict, pd.Series, InvalidModels, list[ModuleType]])
    def test_unknown(self, wrong: Any) -> None:  # noqa: ANN401 - a type
        """Any other type is a TypeError, as for wrong arguments."""
        with pytest.raises(TypeError):

            class Model(FeatureModel):
                def predict(self, table: wrong) -> list[int]:
                    return []

    def test_unresolved(self) -> None:
        """A name that only type checkers import is explained."""
        with pytest.raises(TypeError, match="'pandas_'") as caught:

            class Model(FeatureModel):
                def predict(self, table: "pandas_.DataFrame") -> list[int]:  # type: ignore[name-defined]  # noqa: F821
                    return []

        assert "not under `if TYPE_CHECKING`" in caught.value.__notes__[0]

    def test_abstract(self) -> None:
        """A model must define `predict`."""
        with pytest.raises(TypeError, match="predict"):
            FeatureModel()  # type: ignore[abstract]
