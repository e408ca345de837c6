"""Models that MLflow has saved or logged, from folders and from a real server."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import jsonschema
import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tidemill.errors import InvalidInput, ModelLoadFailed, ModelMisconfigured, UnusableEntry
from tidemill.models import host
from tidemill.models.adapters import mlflow_table
from tidemill.models.adapters.mlflow import Mlflow
from tidemill.models.pool.launch import NO_BACKGROUND_THREADS, THREAD_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

FLOWERS, SPECIES = load_iris(return_X_y=True, as_frame=True)
# MLflow would otherwise start a process that finds out what the model imports.
NO_REQUIREMENTS: dict[str, Any] = {"pip_requirements": []}
OPTIONAL = Schema(
    [
        ColSpec(DataType.long, "visits", required=False),
        ColSpec(DataType.double, "income", required=False),
        ColSpec(DataType.string, "city", required=False),
        ColSpec(DataType.boolean, "member", required=False),
        ColSpec(DataType.datetime, "since", required=False),
        ColSpec(DataType.binary, "photo", required=False),
        ColSpec(DataType.long, "age"),
    ]
)


class Types(PythonModel):
    """Returns the type of each column, and the row as text."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return a table."""
        return pd.DataFrame(
            {
                "types": [",".join(map(str, model_input.dtypes))] * len(model_input),
                "row": [str(list(row)) for row in model_input.to_numpy(dtype=object)],
            }
        )


class Scaled(PythonModel):
    """Multiplies with a parameter."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return a Series."""
        return model_input["x"] * params["factor"]


class Total(PythonModel):
    """Adds all numbers of a row."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return an array."""
        assert isinstance(model_input, np.ndarray)
        assert model_input.dtype == np.float32
        return model_input.sum(axis=(1, 2))


class Graph(PythonModel):
    """Returns arrays by name, as ONNX does."""

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return the sum and the first element of each row, or only the sum."""
        sums = {"sum": model_input.sum(axis=1)}
        return sums if model_input.shape[1] == 2 else sums | {"first": model_input[:, 0]}


class Length(PythonModel):
    """Takes texts, by its type hint."""

    def predict(self, model_input: list[str]) -> list[int]:  # type: ignore[override]
        """Return a list."""
        return [len(text) for text in model_input]


@pytest.fixture(scope="module")
def iris() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """A classifier of flowers."""
    return LogisticRegression(max_iter=500).fit(FLOWERS, SPECIES)


@pytest.fixture(scope="module")
def skops(iris: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ANN401
    """It, saved without pickle, with a signature and an example."""
    folder = tmp_path_factory.mktemp("models") / "iris"
    mlflow.sklearn.save_model(
        iris,
        folder,
        serialization_format="skops",
        signature=infer_signature(FLOWERS, iris.predict(FLOWERS)),
        input_example=FLOWERS[50:52],
        **NO_REQUIREMENTS,
    )
    return folder


def save(
    model: Any,  # noqa: ANN401
    folder: Path,
    inputs: Schema | None = None,
    **more: ParamSchema,
) -> str:
    """Save a PythonModel."""
    contract = ModelSignature(inputs=inputs, **more) if inputs else None
    mlflow.pyfunc.save_model(folder, python_model=model, signature=contract, **NO_REQUIREMENTS)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Mlflow:
    """A model with a column of each type that may be null."""
    return Mlflow(save(Types(), tmp_path_factory.mktemp("models") / "types", OPTIONAL), "pickle")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a parameter."""
    params = ParamSchema([ParamSpec("factor", DataType.double, 2.0)])
    inputs = Schema([ColSpec(DataType.double, "x")])
    return save(Scaled(), tmp_path_factory.mktemp("models") / "scaled", inputs, params=params)


def answers(model: Mlflow, *values: object) -> list[Any]:
    """Return a model's outputs for some inputs."""
    return [json.loads(text) for text in model.predict_all([json.dumps(v) for v in values])]


class TestSklearn:
    """Models of scikit-learn."""

    def test_predictions(self, skops: Path) -> None:
        """The outputs are those of MLflow."""
        expected = mlflow.pyfunc.load_model(str(skops)).predict(FLOWERS).tolist()
        assert answers(Mlflow(str(skops)), *FLOWERS.to_dict("records")) == expected

    def test_more_fields(self, skops: Path) -> None:
        """Other fields and their order do not matter."""
        flower = FLOWERS.loc[100].to_dict()
        other = {"uuid": "7", **dict(reversed(flower.items()))}
        model = Mlflow(str(skops))
        assert answers(model, flower) == answers(model, other) == [2]

    def test_method(self, skops: Path, iris: Any) -> None:  # noqa: ANN401
        """Another method of the estimator."""
        model = Mlflow(str(skops), method="predict_proba")
        (output,) = answers(model, FLOWERS.loc[0].to_dict())
        assert output == pytest.approx(iris.predict_proba(FLOWERS[:1])[0].tolist())
        assert model.output_schema is None  # the signature describes the output of predict

    def test_no_such_method(self, skops: Path) -> None:
        """A method that the estimator lacks."""
        with pytest.raises(UnusableEntry, match="LogisticRegression has no method predict_prob"):
            Mlflow(str(skops), method="predict_prob")

    def test_sample(self, skops: Path) -> None:
        """The sample is the first row of the example, and meets the schema."""
        model = Mlflow(str(skops))
        assert model.sample is not None
        sample = json.loads(model.sample)
        assert sample == FLOWERS.loc[50].to_dict()
        assert model.input_schema is not None
        jsonschema.validate(sample, model.input_schema)
        assert model.output_schema is not None
        jsonschema.validate(answers(model, sample)[0], model.output_schema)


class TestColumns:
    """A table has the types of the signature, in every batch."""

    TYPES = "Int64,float64,object,boolean,datetime64[ns],object,int64"
    FULL: ClassVar[dict[str, Any]] = {
        "visits": 2**53 + 1,
        "income": 1,
        "city": "Lyon",
        "member": True,
        "since": "2026-11-29T10:00:00+01:00",
        "photo": "aGk=",
        "age": 30,
    }

    def test_values(self, model: Mlflow) -> None:
        """Values keep their precision; times are in UTC, and bytes are decoded."""
        (output,) = answers(model, self.FULL)
        assert output["types"] == self.TYPES
        assert output["row"] == str(
            [2**53 + 1, 1.0, "Lyon", True, pd.Timestamp("2026-11-29 09:00:00"), b"hi", 30]
        )

    def test_null(self, model: Mlflow) -> None:
        """Nulls and missing columns are alike, and change no type."""
        nulls = dict.fromkeys(self.FULL) | {"age": 30}
        outputs = answers(model, nulls, {"age": 30}, self.FULL)
        assert outputs[0] == outputs[1]
        assert [output["types"] for output in outputs] == [self.TYPES] * 3
        assert outputs[0]["row"] == str([pd.NA, float("nan"), None, pd.NA, pd.NaT, None, 30])
        assert answers(model, nulls) == outputs[:1]

    def test_required(self, model: Mlflow) -> None:
        """A required integer is never made up."""
        with pytest.raises(InvalidInput, match="age: null is not an integer"):
            answers(model, {"age": None})

    @pytest.mark.parametrize(
        ("kind", "value", "reason"),
        [
            ("boolean", None, "x: null is not true or false"),
            ("long", 1.9, "x: 1.9 is not an integer"),
            ("integer", 2**31, "x: 2147483648 is not an integer"),
            ("float", 1e300, "x: 1e300 is not a number up to 3.40"),
            ("double", "1", 'x: "1" is not a number'),
        ],
    )
    @pytest.mark.parametrize("others", [0, 1])
    def test_changed(self, kind: str, value: object, reason: str, others: int) -> None:
        """A value that the type would change is refused, also if the entry's schema allows it."""
        specs = [{"name": "y", "type": "long"}] * others + [{"name": "x", "type": kind}]
        with pytest.raises(InvalidInput, match=reason):
            mlflow_table.build(specs, [{"x": value, "y": 1}])

    def test_sample(self, model: Mlflow) -> None:
        """Without an example, the sample comes from the schema; the model takes it."""
        assert model.sample is not None
        assert json.loads(model.sample)["since"] == "2000-01-01T00:00:00Z"
        assert model.predict_all([model.sample])


class TestOtherInputs:
    """Inputs that are no table with named columns."""

    def test_tensor(self, tmp_path: Path) -> None:
        """An array has the type of the signature, and a sample has its shape."""
        inputs = infer_signature(np.zeros((2, 2, 3), np.float32)).inputs
        model = Mlflow(save(Total(), tmp_path / "model", inputs), trust="pickle")
        assert answers(model, [[1, 2, 3], [4, 5, 6]], [[0.5, 0, 0], [0, 0, 0]]) == [21.0, 0.5]
        assert model.sample == "[[0,0,0],[0,0,0]]"

    @pytest.mark.parametrize(
        ("named", "row", "expected"),
        [
            (False, [1, 2], 3.0),
            (True, [1, 2], {"sum": 3.0}),
            (True, [1, 2, 4], {"sum": 7.0, "first": 1.0}),
        ],
    )
    def test_outputs_by_name(
        self, tmp_path: Path, named: bool, row: list[int], expected: object
    ) -> None:
        """They become one object for each row, or one value if the signature has no names."""
        arrays = {"sum": np.ones(1), "first": np.ones(1)}
        returned = dict([*arrays.items()][: len(row) - 1])
        contract = infer_signature(np.ones((1, len(row))), returned if named else arrays["sum"])
        mlflow.pyfunc.save_model(
            tmp_path / "m", python_model=Graph(), signature=contract, **NO_REQUIREMENTS
        )
        model = Mlflow(str(tmp_path / "m"), trust="pickle")
        assert answers(model, row, row) == [expected, expected]
        assert model.output_schema is not None
        jsonschema.validate(expected, model.output_schema)

    def test_type_hints(self, tmp_path: Path) -> None:
        """A model whose type hints say that it takes texts gets texts."""
        model = Mlflow(save(Length(), tmp_path / "model"), trust="pickle")
        assert answers(model, "one", "three") == [3, 5]
        assert model.input_schema is not None
        assert model.input_schema["type"] == "string"

    def test_no_signature(self, tmp_path: Path) -> None:
        """Without a signature there are neither schemas nor a sample, but a table."""
        model = Mlflow(save(Types(), tmp_path / "model"), trust="pickle")
        assert (model.input_schema, model.output_schema, model.sample) == (None, None, None)
        assert answers(model, {"a": 1, "b": "x"}) == [{"types": "int64,object", "row": "[1, 'x']"}]


class TestCopies:
    """Models that need no tracking server."""

    @pytest.mark.parametrize("prefix", ["file:", "file://"])
    def test_file(
        self, skops: Path, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A URI of a folder or a store works without one, and starts no database."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        model = Mlflow(f"{prefix}{skops}")
        assert answers(model, FLOWERS.loc[100].to_dict()) == [2]
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("artifact", "tracking_uri"),
        [
            ("models:/x/1", "http://user:p@s3cret@127.0.0.1:9"),
            ("models:/x/1", "postgresql://user:s3cret@host:port/db"),  # SQLAlchemy's own error
            ("https://127.0.0.1:9/x?sig=s3cret", None),
        ],
    )
    def test_secrets(
        self, artifact: str, tracking_uri: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No error has the secret of a URI."""
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(ConnectionError, match="MLflow cannot get") as caught:
            Mlflow(artifact, tracking_uri=tracking_uri)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


class TestParams:
    """Parameters of the prediction."""

    def test_default(self, folder: str) -> None:
        """The signature has their defaults."""
        assert answers(Mlflow(folder, trust="pickle"), {"x": 3}) == [6.0]

    def test_given(self, folder: str) -> None:
        """An option sets others."""
        assert answers(Mlflow(folder, trust="pickle", params={"factor": 10}), {"x": 3}) == [30.0]

    def test_unknown(self, folder: str) -> None:
        """A misspelt parameter is refused; MLflow would ignore it."""
        with pytest.raises(UnusableEntry, match="no parameter factors") as caught:
            Mlflow(folder, trust="pickle", params={"factors": 10})
        assert caught.value.hint == "Its parameters are: factor."


class Unpickled:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)

    def predict(self, table: Any) -> None:  # noqa: ANN401
        """Make MLflow take it for a model."""


class TestTrust:
    """A model that may run code when it is loaded needs `trust: pickle`."""

    @pytest.mark.parametrize("form", ["pickle", "cloudpickle"])
    def test_sklearn(self, form: str, tmp_path: Path, make_spec: Callable[..., ModelSpec]) -> None:
        """Nothing is unpickled before the refusal, which shows the line to add."""
        trace = tmp_path / "trace"
        mlflow.sklearn.save_model(
            Unpickled(trace), tmp_path / "m", serialization_format=form, **NO_REQUIREMENTS
        )
        options = {"artifact": str(tmp_path / "m")}
        with pytest.raises(ModelMisconfigured) as caught:
            host.load(make_spec(adapter="mlflow", options=options))
        assert f"the model has the flavour sklearn ({form})" in str(caught.value)
        assert "add the line `trust: pickle`" in caught.value.hint
        assert not trace.exists()

    def test_trusted(self, iris: Any, tmp_path: Path) -> None:  # noqa: ANN401
        """With that line, it is loaded."""
        mlflow.sklearn.save_model(
            iris, tmp_path / "m", serialization_format="pickle", **NO_REQUIREMENTS
        )
        flower = FLOWERS.loc[0].to_dict()
        assert answers(Mlflow(str(tmp_path / "m"), trust="pickle"), flower) == [0]

    def test_python_model(self, tmp_path: Path) -> None:
        """A PythonModel is a pickle."""
        with pytest.raises(UnusableEntry, match=r"the flavour python_function \(pickle\)"):
            Mlflow(save(Length(), tmp_path / "m"))

    def test_code(self, tmp_path: Path) -> None:
        """A model from code is code."""
        code = tmp_path / "own.py"
        code.write_text(
            "import mlflow\n"
            "class Own(mlflow.pyfunc.PythonModel):\n"
            "    def predict(self, context, model_input):\n"
            "        return [1] * len(model_input)\n"
            "mlflow.models.set_model(Own())\n"
        )
        folder = save(str(code), tmp_path / "m")
        with pytest.raises(UnusableEntry, match=r"python_function \(with Python code\)"):
            Mlflow(folder)
        assert answers(Mlflow(folder, trust="pickle"), {"a": 1}) == [1]

    def test_skops(self, tmp_path: Path) -> None:
        """What a skops file may hold is for the entry to say, not for the model."""
        forest = RandomForestClassifier(3, random_state=0).fit(FLOWERS, SPECIES)
        types = ["sklearn.tree._tree.Tree"]
        mlflow.sklearn.save_model(
            forest,
            tmp_path / "m",
            serialization_format="skops",
            skops_trusted_types=types,
            **NO_REQUIREMENTS,
        )
        with pytest.raises(UnusableEntry, match=r"skops does not trust: sklearn\.tree") as caught:
            Mlflow(str(tmp_path / "m"))
        assert f"trusted: [{types[0]}]" in caught.value.hint
        flower = FLOWERS.loc[0].to_dict()
        assert answers(Mlflow(str(tmp_path / "m"), trusted=types), flower) == [0]

    def test_disguised(self, skops: Path, tmp_path: Path) -> None:
        """The file that is checked is the one that is loaded, whatever else the model names."""
        trace = tmp_path / "trace"
        folder = tmp_path / "m"
        shutil.copytree(skops, folder)
        (folder / "data").mkdir()
        (folder / "data" / "model.pkl").write_bytes(pickle.dumps(Unpickled(trace)))
        mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
        mlmodel["flavors"]["python_function"]["model_path"] = "data/model.pkl"
        (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
        assert answers(Mlflow(str(folder)), FLOWERS.loc[0].to_dict()) == [0]
        assert not trace.exists()


class TestNoModel:
    """A folder without a model."""

    def test_no_folder(self, tmp_path: Path) -> None:
        """The error names it."""
        with pytest.raises(UnusableEntry, match="nowhere is no folder"):
            Mlflow(str(tmp_path / "nowhere"))

    @pytest.mark.parametrize("text", [None, "", "- 1", "flavors: {sklearn: {}}", "a: ]"])
    def test_no_mlmodel(self, tmp_path: Path, text: str | None) -> None:
        """Nor is a folder with another file, or with a model that cannot predict."""
        if text is not None:
            (tmp_path / "MLmodel").write_text(text)
        with pytest.raises(UnusableEntry, match="is no MLflow model for prediction") as caught:
            Mlflow(str(tmp_path))
        assert "models:/name@alias" in caught.value.hint


@pytest.fixture(scope="module")
def registry(mlflow_server: str, iris: Any) -> dict[str, str]:  # noqa: ANN401
    """A server with two versions of the model `iris`, the older of them with an alias."""
    contract = infer_signature(FLOWERS, iris.predict(FLOWERS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
        with mlflow.start_run() as run:
            for _ in range(2):
                mlflow.sklearn.log_model(
                    iris,
                    name="flowers",
                    registered_model_name="iris",
                    serialization_format="skops",
                    signature=contract,
                    **NO_REQUIREMENTS,
                )
        mlflow.MlflowClient().set_registered_model_alias("iris", "champion", "1")
    return {"tracking_uri": mlflow_server, "run": run.info.run_id}


class TestServer:
    """Models of a tracking server."""

    @pytest.mark.parametrize("uri", ["models:/iris/2", "models:/iris@champion", "runs:/{}/flowers"])
    def test_uri(self, registry: dict[str, str], uri: str) -> None:
        """By version, by alias, and by run."""
        artifact = uri.format(registry["run"])
        model = Mlflow(artifact, tracking_uri=registry["tracking_uri"])
        assert answers(model, FLOWERS.loc[100].to_dict()) == [2]

    def test_environment(self, registry: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        """By default the environment names the server, as for MLflow itself."""
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registry["tracking_uri"])
        assert answers(Mlflow("models:/iris/1"), FLOWERS.loc[0].to_dict()) == [0]

    @pytest.mark.parametrize(
        ("uri", "hint"),
        [
            ("models:/iris/7", "The versions of iris are 1, 2; its aliases: champion."),
            ("models:/iris@winner", "The versions of iris are 1, 2; its aliases: champion."),
            ("models:/irs/1", "There is no registered model irs; there is iris."),
        ],
    )
    def test_missing(
        self,
        registry: dict[str, str],
        make_spec: Callable[..., ModelSpec],
        uri: str,
        hint: str,
    ) -> None:
        """The error names the URI, and what there is."""
        options = {"artifact": uri, "tracking_uri": registry["tracking_uri"]}
        with pytest.raises(ModelMisconfigured) as caught:
            host.load(make_spec(adapter="mlflow", options=options))
        assert f"MLflow has no {uri}" in str(caught.value)
        assert caught.value.hint == hint

    @pytest.mark.parametrize("uri", ["runs:/{}/flower", "runs:/0123456789abcdef/flowers"])
    def test_missing_run(self, registry: dict[str, str], uri: str) -> None:
        """So does that of a run."""
        with pytest.raises(UnusableEntry, match="MLflow has no runs:/"):
            Mlflow(uri.format(registry["run"]), tracking_uri=registry["tracking_uri"])

    def test_no_server(
        self, make_spec: Callable[..., ModelSpec], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server that does not answer may do so later. Its password is not in the error."""
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        uri = "http://ada:s3cret@127.0.0.1:9"
        options = {"artifact": "models:/iris/1", "tracking_uri": uri}
        with pytest.raises(ModelLoadFailed, match="MLflow cannot get models:/iris/1") as caught:
            host.load(make_spec(adapter="mlflow", options=options))
        assert "s3cret" not in str(caught.value)
        assert "s3cret" not in str(caught.value.__reduce__())

    def test_copies(self, registry: dict[str, str], tmp_path: Path) -> None:
        """A loaded model can be shared by forks, and leaves no copy at the end."""
        script = f"""
import os
from tidemill.models.adapters.mlflow import Mlflow
from tidemill.models.isolation import procfs
before = procfs.open_files()
model = Mlflow("models:/iris/1", tracking_uri={registry["tracking_uri"]!r})
assert not procfs.has_threads()
assert procfs.open_files() <= before, procfs.open_files() - before
assert len(os.listdir({str(tmp_path)!r})) == 1
if (pid := os.fork()) == 0:
    raise SystemExit(model.predict_all([model.sample]) != ["0"])
assert os.waitpid(pid, 0)[1] == 0
assert len(os.listdir({str(tmp_path)!r})) == 1
"""
        # As the pool's server starts.
        single_threaded = dict.fromkeys(THREAD_VARIABLES, "1") | NO_BACKGROUND_THREADS
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            env={**single_threaded, **os.environ, "TMPDIR": str(tmp_path)},
        )
        assert not list(tmp_path.iterdir())
