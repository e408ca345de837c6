from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import forks
import jsonschema
import numpy as np
import onnx
import pytest
from onnx import parser
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tidemill.errors import InvalidInput, ModelMisconfigured
from tidemill.models import host
from tidemill.models.adapters.onnx import CUDA, Onnx
from tidemill.models.adapters.quantization import compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.model import ModelSpec

    Save = Callable[[Any], str]

HEAD = '<ir_version: 8, opset_import: ["": 17]> g '
SUMS = (
    HEAD
    + """(float[N, 2, K] x) => (float[N, 2] y) {
    axes = Constant<value_ints=[-1]>()
    y = ReduceSum<keepdims=0>(x, axes)
}"""
)
ONE = HEAD + "(float[1, 2] x) => (float[1, 2] y) { y = Neg(x) }"
TWO = (
    HEAD
    + """(int64[N] a, bool[N, 2] b) => (int64[N, 1] c, bool[N, 2] d) {
    axes = Constant<value_ints=[1]>()
    c = Unsqueeze(a, axes)
    d = Not(b)
}"""
)
EIGHT = HEAD + "(float[8, 2] x) => (float[8, 2] y) { y = Neg(x) }"
NO_BATCH = HEAD + "(float x) => (float y) { y = Neg(x) }"
UNKNOWN = HEAD + "(float[N] x) => (float[N] y) { y = Nothing(x) }"


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return what saves a graph, or the text of one, and returns the path."""

    def save(model: Any) -> str:  # noqa: ANN401 - a protobuf message, or text
        graph = parser.parse_model(model) if isinstance(model, str) else model
        path = tmp_path / "model.onnx"
        onnx.save(graph, path)
        return str(path)

    return save


@pytest.fixture(scope="module")
def iris() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """A classifier of rows of numbers."""
    data, target = load_iris(return_X_y=True)
    data = data.astype(np.float32)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(data, target)


@pytest.fixture(scope="module")
def digits() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """A small neural network, and its graph."""
    data, target = load_digits(return_X_y=True)
    quick = {"learning_rate_init": 0.005, "early_stopping": True, "n_iter_no_change": 3}
    network = MLPClassifier((128, 64), random_state=0, **quick).fit(data / 16, target)
    return to_onnx(network, data[:1].astype(np.float32), options={"zipmap": False})


def exported(model: Any, **options: Any) -> Any:  # noqa: ANN401 - scikit-learn has no types
    """Return the graph of a model of iris."""
    return to_onnx(model, np.zeros((1, 4), np.float32), options=options)


def answers(model: Onnx, *values: object) -> list[Any]:
    """Return a model's outputs for some inputs."""
    outputs = model.predict_all([json.dumps(value) for value in values])
    return [json.loads(output) for output in outputs]


def validator(model: Onnx) -> Any:  # noqa: ANN401 - jsonschema has no types
    """Return what says whether an input suits the model's schema."""
    jsonschema.Draft202012Validator.check_schema(model.input_schema)
    return jsonschema.Draft202012Validator(model.input_schema).is_valid


class TestTables:
    """Models of features: one matrix, or one input for each column."""

    def test_matrix(self, iris: Any, save: Save) -> None:  # noqa: ANN401
        """The label and, as an object, the probability of each class."""
        model = Onnx(save(exported(iris)))
        rows = load_iris().data[::10].astype(np.float32)
        outputs = answers(model, *rows.tolist())
        assert [output["output_label"] for output in outputs] == iris.predict(rows).tolist()
        probabilities = [list(output["output_probability"].values()) for output in outputs]
        assert np.allclose(probabilities, iris.predict_proba(rows), atol=1e-5)
        assert list(outputs[0]["output_probability"]) == ["0", "1", "2"]

    def test_output(self, iris: Any, save: Save) -> None:  # noqa: ANN401
        """One of several outputs."""
        path = save(exported(iris, zipmap=False))
        row = load_iris().data[100].tolist()
        assert answers(Onnx(path, output="label"), row) == [2]
        (probabilities,) = answers(Onnx(path, output="probabilities"), row)
        assert len(probabilities) == 3

    def test_regression(self, save: Save) -> None:
        """An output of one column gives numbers."""
        data, target = load_iris(return_X_y=True)
        model = LinearRegression().fit(data, target)
        outputs = answers(Onnx(save(exported(model))), *data[::10].tolist())
        assert np.allclose(outputs, model.predict(data[::10]), atol=1e-4)

    def test_columns(self, iris: Any, save: Save) -> None:  # noqa: ANN401
        """The option names the message's fields."""
        path = save(exported(iris, zipmap=False))
        model = Onnx(path, output="label", columns=list("abcd"))
        row = dict(zip("dcba", reversed(load_iris().data[100]), strict=True))
        assert answers(model, row) == [2]
        valid = validator(model)
        assert valid(row)
        assert not valid({"a": 1})
        assert model.sample == '{"a":0,"b":0,"c":0,"d":0}'

    def test_named(self, save: Save) -> None:
        """Each column is an input of its own, also of text."""
        frame = load_wine(as_frame=True).data[["alcohol", "ash"]].assign(origin=["N", "S"] * 89)
        pipeline = make_pipeline(
            make_column_transformer(
                (StandardScaler(), ["alcohol", "ash"]),
                (OneHotEncoder(handle_unknown="ignore"), ["origin"]),
            ),
            LogisticRegression(),
        ).fit(frame, load_wine().target)
        types = [
            ("alcohol", FloatTensorType([None, 1])),
            ("ash", FloatTensorType([None, 1])),
            ("origin", StringTensorType([None, 1])),
        ]
        graph = convert_sklearn(pipeline, initial_types=types, options={"zipmap": False})
        model = Onnx(save(graph), output="label")
        rows = [{"id": 1, **row} for row in frame[::10].to_dict("records")]
        assert answers(model, *rows) == pipeline.predict(frame[::10]).tolist()
        assert model.sample == '{"alcohol":0,"ash":0,"origin":""}'
        valid = validator(model)
        assert valid(rows[0])
        assert valid({**rows[0], "ash": None})
        assert not valid({**rows[0], "ash": "2"})
        assert not valid({**rows[0], "origin": None})
        assert not valid({"alcohol": 1, "ash": 2})
        with pytest.raises(InvalidInput, match="origin: null is not a text"):
            answers(model, {"alcohol": 1, "ash": 2})

    def test_schema(self, iris: Any, save: Save) -> None:  # noqa: ANN401
        """An array has a number or null for each feature."""
        model = Onnx(save(exported(iris)))
        valid = validator(model)
        assert model.sample == "[0,0,0,0]"
        assert valid([1, 2.5, None, 4])
        assert not valid([1, 2, 3])
        assert not valid([1, 2, 3, "4"])


class TestTensors:
    """Graphs of any other shape."""

    def test_nested(self, save: Save) -> None:
        """Nested arrays, one of whose sizes varies."""
        model = Onnx(save(SUMS))
        assert answers(model, [[1, 2], [3, 4]], [[0, 0], [0, 1]]) == [[3, 7], [0, 1]]
        assert answers(model, [[1], [3]]) == [[1, 3]]
        assert model.sample == "[[0],[0]]"
        valid = validator(model)
        assert valid([[1, 2, 3], [None, 5, 6]])
        assert not valid([[1, 2]])

    def test_one_by_one(self, save: Save) -> None:
        """A graph that was exported for a batch of one gets one row at a time."""
        assert answers(Onnx(save(ONE)), [1, 2], [3, 4], [0, -1]) == [[-1, -2], [-3, -4], [0, 1]]

    def test_several(self, save: Save) -> None:
        """Several inputs and outputs, by name; the order of the fields does not matter."""
        model = Onnx(save(TWO))
        assert answers(
            model, {"b": [True, False], "a": 2**60 + 1}, {"a": 2, "b": [True, True]}
        ) == [
            {"c": 2**60 + 1, "d": [False, True]},
            {"c": 2, "d": [False, False]},
        ]
        valid = validator(model)
        assert valid({"a": 1, "b": [True, False]})
        assert not valid({"a": 1.5, "b": [True, False]})
        assert not valid({"a": None, "b": [True, False]})
        assert not valid({"a": 2**63, "b": [True, False]})
        assert not valid({"a": 1, "b": [1, 0]})
        model = Onnx(save(TWO), columns=["x", "y"], output="c")
        assert answers(model, {"y": [True, False], "x": 5}) == [5]

    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"a": 1.7}, "a: 1.7 is not an integer"),
            ({"a": 2**63}, "a: 9223372036854775808 is not an integer"),
            ({"a": True}, "a: true is not an integer"),
            ({"a": None}, "a: null is not an integer"),
            ({"b": [None, True]}, "b: null is not true or false"),
            ({"b": ["false", True]}, 'b: "false" is not true or false'),
        ],
    )
    def test_changed(self, save: Save, wrong: dict[str, object], reason: str) -> None:
        """A value that the tensor would change is refused, also if the entry's schema allows it."""
        model = Onnx(save(TWO))
        right: dict[str, object] = {"a": 1.0, "b": [True, False]}
        assert answers(model, right) == [{"c": 1, "d": [False, True]}]
        with pytest.raises(InvalidInput, match=reason):
            answers(model, right, right | wrong)

    def test_infinite(self, save: Save) -> None:
        """A number that float32 lacks does not become infinite."""
        with pytest.raises(InvalidInput, match=r"x: 1e300 is not a number up to 3\.40"):
            answers(Onnx(save(ONE)), [1e300, 0])

    @pytest.mark.parametrize("row", [[1, 2, 3], ["a", "b"], {"x": 1}])
    def test_wrong(self, save: Save, row: object) -> None:
        """An input of another shape or type is refused."""
        with pytest.raises(Exception, match=r"invalid dimensions|x: .* is not a number"):
            answers(Onnx(save(ONE)), row)


class TestProcess:
    """A loaded model costs no threads, so that processes can share it."""

    @pytest.mark.parametrize("quantize", [None, "int8"])
    def test_fork(self, digits: Any, save: Save, quantize: str | None) -> None:  # noqa: ANN401
        """Loading leaves no threads and no open files, and a forked process predicts."""
        adapter = "tidemill.models.adapters.onnx:Onnx"
        assert forks.report(adapter, {"artifact": save(digits), "quantize": quantize}) == [
            "no threads",
            "no files",
            "the same outputs",
            "no threads",
        ]


class TestQuantize:
    """`quantize: int8` makes the weights smaller when the model is loaded."""

    def test_compare(
        self,
        digits: Any,  # noqa: ANN401
        save: Save,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The comparison reports agreement, bytes and time of both, and logs nothing."""
        caplog.set_level("INFO")
        data = load_digits().data[:500] / 16
        inputs = [json.dumps(row) for row in data.tolist()]
        report = compare(save(digits), inputs, output="probabilities")
        assert report.inputs == 500
        assert report.agreement > 0.98
        assert 0 < report.largest_difference < 0.5
        assert report.bytes_after < 0.5 * report.bytes_before
        assert min(report.seconds_before, report.seconds_after) > 0
        assert not caplog.records

    def test_outputs(self, digits: Any, save: Save) -> None:  # noqa: ANN401
        """A quantized model answers nearly as before; the file stays as it was."""
        path = save(digits)
        with open(path, "rb") as file:  # noqa: PTH123 - read twice
            before = file.read()
            model = Onnx(path, quantize="int8", output="label")
            file.seek(0)
            assert file.read() == before
        rows = load_digits().data[:200] / 16
        outputs = answers(model, *rows.tolist())
        assert np.mean(outputs == load_digits().target[:200]) > 0.95

    def test_same(self, iris: Any, save: Save) -> None:  # noqa: ANN401
        """A model without such weights stays the same."""
        rows = [json.dumps(row) for row in load_iris().data[::10].tolist()]
        report = compare(save(exported(iris)), rows)
        assert report.agreement == 1
        assert report.largest_difference == 0


class TestMisconfigured:
    """What the user must mend is a wrong configuration, with a remedy."""

    @pytest.mark.parametrize(
        ("graph", "options", "reason", "remedy"),
        [
            (ONE, {"quantize": "int4"}, "int4 is not int8", "`quantize: int8`"),
            (ONE, {"output": "z"}, "no output z", "Choose one of these: y."),
            (ONE, {"columns": ["a"]}, "1 names, but the model takes 2 features", "order"),
            (SUMS, {"columns": ["a"]}, "the model takes 0 features", "order"),
            (EIGHT, {}, "input x is tensor(float) of shape [8, 2]", "a batch of any size"),
            (NO_BATCH, {}, "input x is tensor(float) of shape []", "a batch of any size"),
            (UNKNOWN, {}, "onnxruntime cannot use model.onnx", "onnx.checker"),
        ],
    )
    def test_entry(
        self,
        save: Save,
        make_spec: Callable[..., ModelSpec],
        graph: str,
        options: dict[str, Any],
        reason: str,
        remedy: str,
    ) -> None:
        """Options that do not suit the graph, and graphs that cannot be used."""
        spec = make_spec(adapter="onnx", options={"artifact": save(graph), **options})
        with pytest.raises(ModelMisconfigured) as caught:
            host.load(spec)
        assert reason in str(caught.value)
        assert remedy in caught.value.hint

    def test_cuda(self, save: Save, make_spec: Callable[..., ModelSpec]) -> None:
        """Without CUDA the model does not run on the CPU unnoticed."""
        import onnxruntime  # noqa: PLC0415 - after the adapter, which turns off its reports

        if CUDA in onnxruntime.get_available_providers():
            pytest.skip("CUDA works")
        options = {"artifact": save(ONE), "device": "cuda"}
        with pytest.raises(ModelMisconfigured, match="cannot use CUDA") as caught:
            host.load(make_spec(adapter="onnx", options=options))
        assert "Install onnxruntime-gpu" in caught.value.hint

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("m.onnx", None, "there is no file"),
            ("m.pt", b"x", "m.pt has none of the suffixes .onnx"),
            ("m.onnx", b"garbage", "onnxruntime cannot use m.onnx"),
        ],
    )
    def test_artifact(
        self,
        tmp_path: Path,
        make_spec: Callable[..., ModelSpec],
        name: str,
        content: bytes | None,
        reason: str,
    ) -> None:
        """A file that is missing or no ONNX."""
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ModelMisconfigured, match=reason):
            host.load(make_spec(adapter="onnx", options={"artifact": str(path)}))
