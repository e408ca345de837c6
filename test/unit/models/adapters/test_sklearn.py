from __future__ import annotations

import functools
import json
import pickle
from typing import TYPE_CHECKING, Any

import forks
import joblib
import jsonschema
import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from tidemill.errors import ModelMisconfigured
from tidemill.models import host
from tidemill.models.adapters.sklearn import Sklearn
from tidemill.models.isolation import supervised

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.model import ModelSpec

    Save = Callable[..., str]

# Transformers that have an output for NaN.
NULLABLE = [
    SimpleImputer(),
    SimpleImputer(strategy="most_frequent"),
    SimpleImputer(strategy="constant", fill_value=-1.0),
    KNNImputer(),
    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
]

# skops does not trust what a forest consists of.
TREE = ["sklearn.tree._tree.Tree"]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return what saves a model and returns the path: `save(model, "m.joblib")`."""

    def save(model: object, name: str = "model.skops") -> str:
        path = tmp_path / name
        match path.suffix:
            case ".skops":
                skops.io.dump(model, path)
            case ".joblib":
                joblib.dump(model, path)
            case _:
                path.write_bytes(pickle.dumps(model))
        return str(path)

    return save


@pytest.fixture(scope="module")
def iris() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """A classifier of rows of numbers, without names."""
    data, target = load_iris(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(data, target)


@pytest.fixture(scope="module")
def wine() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """A classifier whose features have names; it wants to use every core."""
    data, target = load_wine(return_X_y=True, as_frame=True)
    labels = np.array(["barolo", "grignolino", "barbera"])[target]
    return RandomForestClassifier(10, random_state=0, n_jobs=-1).fit(data, labels)


def answers(model: Sklearn, *values: object) -> list[Any]:
    """Return a model's outputs for some inputs."""
    outputs = model.predict_all([json.dumps(value) for value in values])
    return [json.loads(output) for output in outputs]


class TestPredict:
    """The outputs are those of the estimator."""

    @pytest.mark.parametrize("name", ["model.skops", "model.joblib", "model.pkl", "M.PICKLE"])
    def test_numbers(self, iris: Any, save: Save, name: str) -> None:  # noqa: ANN401
        """Rows of numbers, from each format."""
        model = Sklearn(save(iris, name), trust="pickle")
        rows = load_iris().data[::10]
        assert answers(model, *rows.tolist()) == iris.predict(rows).tolist()

    def test_names(self, wine: Any, save: Save) -> None:  # noqa: ANN401
        """Fields in any order, and with others between them."""
        frame = load_wine(as_frame=True).data[::10]
        rows = [{"id": "x", **dict(reversed(row.items()))} for row in frame.to_dict("records")]
        assert answers(Sklearn(save(wine), trusted=TREE), *rows) == wine.predict(frame).tolist()

    @pytest.mark.parametrize("method", ["predict_proba", "decision_function", "predict"])
    def test_methods(self, iris: Any, save: Save, method: str) -> None:  # noqa: ANN401
        """Each row has the method's row."""
        rows = load_iris().data[::10]
        outputs = answers(Sklearn(save(iris), method=method), *rows.tolist())
        assert np.allclose(outputs, getattr(iris, method)(rows), rtol=1e-12)

    def test_transform(self, save: Save) -> None:
        """Sparse matrices, too."""
        encoder = OneHotEncoder().fit([["a"], ["b"], ["c"]])
        model = Sklearn(save(encoder), method="transform")
        assert answers(model, ["b"], ["a"]) == [[0, 1, 0], [1, 0, 0]]

    def test_targets(self, save: Save) -> None:
        """Several targets: an array of probabilities for each of them."""
        data, target = load_iris(return_X_y=True)
        forest = RandomForestClassifier(3, random_state=0).fit(data, np.c_[target, target > 0])
        outputs = answers(
            Sklearn(save(forest), method="predict_proba", trusted=TREE), *data[::50].tolist()
        )
        first, second = forest.predict_proba(data[::50])
        assert outputs == [[a.tolist(), b.tolist()] for a, b in zip(first, second, strict=True)]
        assert answers(Sklearn(save(forest), trusted=TREE), data[0].tolist()) == [[0, 0]]

    def test_columns(self, iris: Any, wine: Any, save: Save) -> None:  # noqa: ANN401
        """The option names the message's fields, also for features without names."""
        model = Sklearn(save(iris), columns=["a", "b", "c", "d"])
        row = load_iris().data[100]
        assert answers(model, dict(zip("dcba", reversed(row), strict=True))) == [2]
        frame = load_wine(as_frame=True).data[:1]
        fields = [f"f{number}" for number in range(13)]
        model = Sklearn(save(wine), columns=fields, trusted=TREE)
        values = dict(zip(fields, frame.iloc[0], strict=True))
        assert answers(model, values) == wine.predict(frame).tolist()

    def test_texts(self, save: Save) -> None:
        """A pipeline that takes texts gets the inputs as they are."""
        texts = ["good great", "bad awful", "great", "awful"]
        pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
        model = Sklearn(save(pipeline))
        assert model.predict_all(["great day", '"awful"']) == ["1", "0"]
        assert (model.sample, model.input_schema) == (None, None)

    def test_nulls(self, save: Save) -> None:
        """A null is a missing value, alone and in a batch; a missing field is null."""
        frame = load_wine(as_frame=True).data[["alcohol", "ash"]].assign(origin=["N", "S"] * 89)
        frame.loc[0] = [None, None, None]
        pipeline = make_pipeline(
            make_column_transformer(
                (make_pipeline(SimpleImputer(), StandardScaler()), ["alcohol", "ash"]),
                (OneHotEncoder(handle_unknown="ignore"), ["origin"]),
            ),
            LinearRegression(),
        ).fit(frame, load_wine().target)
        model = Sklearn(save(pipeline), trusted=["numpy.dtype"])
        rows = [
            {"alcohol": 13, "ash": None, "origin": "N"},
            {"alcohol": 13.5, "ash": 2, "origin": None},
            {"alcohol": None},
            {"alcohol": 12, "ash": 2, "origin": "unknown"},
        ]
        outputs = answers(model, *rows)
        assert outputs == pytest.approx([answers(model, row)[0] for row in rows])
        assert len(set(outputs)) == len(outputs)

    @pytest.mark.parametrize("first", NULLABLE)
    @pytest.mark.parametrize("is_mixed", [False, True])
    def test_batches(self, save: Save, first: Any, is_mixed: bool) -> None:  # noqa: ANN401
        """A row has the output that it has alone, whatever the batch holds; so do nulls."""
        random = np.random.default_rng(0)
        frame = pd.DataFrame({"a": random.integers(0, 5, 200).astype(float)})
        frame["b"] = random.normal(size=200)
        frame.loc[::7, "a"] = np.nan
        others = []
        if is_mixed:
            frame["c"] = ["x", "y"] * 100
            others = [(OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["c"])]
        pipeline = make_pipeline(
            make_column_transformer((first, ["a"]), *others, remainder="passthrough"),
            DecisionTreeRegressor(random_state=0),
        ).fit(frame, frame["a"].fillna(9) + frame["b"])
        model = Sklearn(save(pipeline, "model.joblib"), trust="pickle")
        values: dict[str, st.SearchStrategy[Any]] = {
            "a": st.sampled_from([None, 3, 4, 1.5, 2.0]),
            "b": st.sampled_from([None, 0, 0.5]),
            "c": st.sampled_from([None, "x", "y", "z"]),
        }
        row = st.fixed_dictionaries({name: values[name] for name in frame})
        alone = functools.cache(lambda text: model.predict_all([text]))

        @given(st.lists(row.map(json.dumps), min_size=1, max_size=4))
        @settings(deadline=None, max_examples=60)
        def check(batch: list[str]) -> None:
            assert model.predict_all(batch) == [output for text in batch for output in alone(text)]

        check()


class TestSchema:
    """The input schema comes from the fitted features, the sample is an input of zeros."""

    def test_names(self, wine: Any, save: Save) -> None:  # noqa: ANN401
        """Every name is required; its value may be null or of any type."""
        model = Sklearn(save(wine), trusted=TREE)
        assert model.input_schema is not None
        valid = jsonschema.Draft202012Validator(model.input_schema).is_valid
        names = list(wine.feature_names_in_)
        assert model.sample is not None
        assert json.loads(model.sample) == dict.fromkeys(names, 0)
        assert valid(json.loads(model.sample))
        assert valid(dict.fromkeys(names))
        assert not valid(dict.fromkeys(names[1:], 0))
        assert not valid([0] * 13)

    def test_numbers(self, iris: Any, save: Save) -> None:  # noqa: ANN401
        """An array has a number or null for each feature."""
        model = Sklearn(save(iris))
        assert model.input_schema is not None
        valid = jsonschema.Draft202012Validator(model.input_schema).is_valid
        assert model.sample == "[0,0,0,0]"
        assert valid([1, 2.5, None, 4])
        assert not valid([1, 2, 3])
        assert not valid([1, 2, 3, "4"])
        assert not valid(1)

    def test_single(self, save: Save) -> None:
        """One feature may be a plain number."""
        data, target = load_diabetes(return_X_y=True)
        model = Sklearn(save(LinearRegression().fit(data[:, 2:3], target)))
        assert model.input_schema is not None
        valid = jsonschema.Draft202012Validator(model.input_schema).is_valid
        assert valid(0.5)
        assert valid([0.5])
        assert not valid("0.5")
        assert not valid([1, 2])
        assert answers(model, 0.5, 0.5) == answers(model, [0.5], [0.5])

    def test_no_sample(self, save: Save) -> None:
        """Zeros that the estimator refuses are no sample, and its features may be of any type."""
        model = Sklearn(save(OneHotEncoder().fit([["a"], ["b"]])), method="transform")
        assert model.sample is None
        assert model.input_schema is not None
        valid = jsonschema.Draft202012Validator(model.input_schema).is_valid
        assert valid(["a"])
        assert valid("a")
        assert not valid(["a", "b"])


class TestProcess:
    """A loaded model costs no threads, so that processes can share it."""

    def test_fork(self, wine: Any, save: Save) -> None:  # noqa: ANN401
        """Loading leaves no threads and no open files; a forked process predicts, on one core."""
        options = {"artifact": save(wine), "trusted": TREE}
        assert forks.report("tidemill.models.adapters.sklearn:Sklearn", options) == [
            "no threads",
            "no files",
            "the same outputs",
            "no threads",
        ]


class TestMisconfigured:
    """What the user must mend is a wrong configuration, with the line to add."""

    @pytest.mark.parametrize(
        ("name", "options", "reason", "remedy"),
        [
            ("m.pkl", {}, "m.pkl is a pickle", "add the line `trust: pickle` to the entry"),
            ("m.joblib", {"trust": "no"}, "m.joblib is a pickle", "`trust: pickle`"),
            ("m.h5", {}, "m.h5 has none of the suffixes .joblib", "choose the adapter"),
            ("m.skops", {"device": "cuda"}, "does not run on cuda", "Remove the field `device`"),
            ("m.skops", {"method": "transform"}, "no method transform", "Choose predict"),
            ("m.skops", {"method": "fit"}, "Pipeline has no method fit", "or predict_proba"),
            ("m.skops", {"columns": [*"abca"]}, "a name occurs twice: a, b, c, a", "once"),
            ("m.skops", {"columns": ["a"]}, "1 names, but the model takes 4 features", "order"),
        ],
    )
    def test_entry(
        self,
        iris: Any,  # noqa: ANN401
        save: Save,
        make_spec: Callable[..., ModelSpec],
        name: str,
        options: dict[str, Any],
        reason: str,
        remedy: str,
    ) -> None:
        """The error names the reason, and the hint has the remedy."""
        spec = make_spec(adapter="sklearn", options={"artifact": save(iris, name), **options})
        with pytest.raises(ModelMisconfigured) as caught:
            host.load(spec)
        assert reason in str(caught.value)
        assert remedy in caught.value.hint

    def test_child_process(
        self,
        iris: Any,  # noqa: ANN401
        save: Save,
        make_spec: Callable[..., ModelSpec],
    ) -> None:
        """The error is the same if a child process loads the model."""
        options = {"artifact": save(iris), "columns": ["a"]}
        spec = make_spec(adapter="sklearn", options=options)
        with pytest.raises(ModelMisconfigured) as here:
            host.load(spec)
        with supervised.loader() as load, pytest.raises(ModelMisconfigured) as there:
            load(spec)
        assert (str(there.value), there.value.hint) == (str(here.value), here.value.hint)

    def test_missing(self, make_spec: Callable[..., ModelSpec]) -> None:
        """A file that is not there."""
        spec = make_spec(adapter="sklearn", options={"artifact": "/nowhere/m.skops"})
        with pytest.raises(
            ModelMisconfigured, match=r"there is no file /nowhere/m\.skops"
        ) as caught:
            host.load(spec)
        assert "the folder of models.yaml" in caught.value.hint

    def test_untrusted(self, make_spec: Callable[..., ModelSpec], save: Save) -> None:
        """Types that skops does not trust are named; the line in the hint trusts them."""
        function = FunctionTransformer(np.nan_to_num).fit([[1.0]])
        options: dict[str, Any] = {"artifact": save(function), "method": "transform"}
        spec = make_spec(adapter="sklearn", options=options)
        with pytest.raises(ModelMisconfigured, match=r"does not trust: numpy.nan_to_num") as caught:
            host.load(spec)
        assert "`options: {trusted: [numpy.nan_to_num]}`" in caught.value.hint
        trusting = make_spec(
            adapter="sklearn", options={**options, "trusted": ["numpy.nan_to_num"]}
        )
        assert host.load(trusting).predict_all(["[null]"]) == ["[0.0]"]

    def test_not_skops(self, tmp_path: Path, make_spec: Callable[..., ModelSpec]) -> None:
        """A pickle under the name of skops is not loaded."""
        path = tmp_path / "m.skops"
        path.write_bytes(pickle.dumps(1))
        with pytest.raises(ModelMisconfigured, match=r"m\.skops is not a file of skops"):
            host.load(make_spec(adapter="sklearn", options={"artifact": str(path)}))

    @pytest.mark.parametrize(
        ("model", "reason"), [(LinearSVC(), "not fitted"), ({"a": 1}, "estimator")]
    )
    def test_no_estimator(
        self, save: Save, make_spec: Callable[..., ModelSpec], model: object, reason: str
    ) -> None:
        """An estimator that was never fitted, or something else."""
        with pytest.raises(ModelMisconfigured, match=reason):
            host.load(make_spec(adapter="sklearn", options={"artifact": save(model)}))
