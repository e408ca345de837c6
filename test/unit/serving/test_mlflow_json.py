"""Tests of MLflow's requests; MLflow's own server and client are the oracles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
import pytest
import server_process
from hypothesis import given
from hypothesis import strategies as st
from mlflow.models import infer_signature
from mlflow.pyfunc import scoring_server
from mlflow.pyfunc.scoring_server import client as scoring_client
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tidemill.errors import InvalidRequest
from tidemill.serving import mlflow_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

FLOWERS, SPECIES = load_iris(return_X_y=True, as_frame=True)
ORACLE: Any = scoring_server  # without types
CLIENT: Any = scoring_client.ScoringServerClient
MODELS = """
models:
  - {{name: iris, version: 1, adapter: mlflow, artifact: "ARTIFACT", trust: pickle,
      match: {{to: iris}}}}
  - {{name: upper, version: 1, adapter: "served_models:Upper", sample: a, match: {{to: upper}}}}
  - {{name: sum, version: 1, adapter: "served_models:Sum", sample: [1], match: {{to: sum}}}}
  - name: ab
    version: 1
    adapter: served_models:Upper
    sample: a
    match: {{to: ab}}
    variants:
      one: {{weight: 30, version: 1}}
      two: {{weight: 70, version: 2, options: {{suffix: "!"}}}}
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model that MLflow has saved."""
    folder = tmp_path_factory.mktemp("iris") / "model"
    model = LogisticRegression(max_iter=500).fit(FLOWERS, SPECIES)
    signature = infer_signature(FLOWERS, model.predict(FLOWERS))
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=signature,
        input_example=FLOWERS[:2],
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
    return folder


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[Server]:
    """Return a server with several models."""
    with server_process.running(models=MODELS.replace("ARTIFACT", str(artifact))) as one:
        yield one


def payloads(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table in all forms."""
    records = table.to_dict(orient="records")
    return {
        "split": {"dataframe_split": table.to_dict(orient="split")},
        "records": {"dataframe_records": records},
        "instances": {"instances": records},
        "columns": {"inputs": table.to_dict(orient="list")},
    }


class TestOracle:
    """MLflow's own server answers the same."""

    @pytest.mark.parametrize("form", ["split", "records", "instances", "columns"])
    def test_predictions(self, server: Server, artifact: Path, form: str) -> None:
        """The predictions are the same, whatever form a table has."""
        model = mlflow.pyfunc.load_model(artifact)
        body = json.dumps(payloads(FLOWERS[::10])[form])
        theirs = ORACLE.invocations(
            body, "application/json", model, model.metadata.get_input_schema()
        )
        ours = server.send("/iris/invocations", body.encode())
        assert ours.json["predictions"] == json.loads(theirs.response)["predictions"]
        assert len(ours.json["predictions"]) == 15
        assert (ours.json["model"], ours.json["version"]) == ("iris", "1")

    def test_client(self, server: Server) -> None:
        """MLflow's client works."""
        client = CLIENT("127.0.0.1", f"{server.port}/iris")
        predictions = client.invoke(FLOWERS[:3]).get_predictions()
        assert [*predictions[0]] == [0, 0, 0]
        probe = CLIENT("127.0.0.1", server.port)
        probe.ping()

    def test_only_model(self) -> None:
        """The path `/invocations` needs no model's name if there is only one."""
        models = """
models: [{{name: upper, version: 1, adapter: "served_models:Upper", sample: a}}]
"""
        with server_process.running(models=models) as one:
            client = CLIENT("127.0.0.1", one.port)
            answer = client.invoke(pd.DataFrame({"text": ["a", "b"]}))
            assert answer["predictions"] == ["A", "B"]


class TestServer:
    """What MLflow's clients do not do."""

    def test_several_models(self, server: Server) -> None:
        """With several models, the path must name one."""
        response = server.send("/invocations", {"inputs": ["a"]})
        assert (response.status, response.json["title"]) == (404, "ModelNotFound")

    def test_params(self, server: Server) -> None:
        """Params choose a variant; others are refused, because no model would get them."""
        body = {"inputs": ["a"], "params": {"variant": "two"}}
        answer = server.send("/ab/invocations", body).json
        assert answer["predictions"] == ["A!"]
        assert (answer["variant"], answer["variant_forced"]) == ("two", True)
        response = server.send("/ab/invocations", {"inputs": ["a"], "params": {"top_k": 3}})
        assert response.status == 400
        assert "top_k" in response.json["detail"]
        assert "`key` and `variant`" in response.json["hint"]

    def test_one_fails(self, server: Server) -> None:
        """An error stands in the place of an output."""
        body = {"dataframe_split": {"columns": ["text"], "data": [["a"], ["bad"], ["c"]]}}
        first, second, third = server.send("/upper/invocations", body).json["predictions"]
        assert (first, third) == ("A", "C")
        assert second["error"]["title"] == "PredictionFailed"

    def test_arrays(self, server: Server) -> None:
        """Rows without names are arrays."""
        for body in (
            {"inputs": [[1, 2], [3]]},
            {"instances": [[1, 2], [3]]},
            {"dataframe_split": {"data": [[1, 2], [3]]}},
        ):
            assert server.send("/sum/invocations", body).json["predictions"] == [3, 3]


def read(body: object, *, is_text: bool = False) -> list[Any]:
    """Return the inputs of a request."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [json.loads(bytes(each)) for each in mlflow_json.decode(content, is_text=is_text).inputs]


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
TABLES = st.lists(st.text(), min_size=1, max_size=4, unique=True).flatmap(
    lambda columns: st.lists(st.fixed_dictionaries(dict.fromkeys(columns, VALUES)), min_size=1)
)


class TestDecode:
    """Any table comes out as it went in."""

    @given(TABLES)
    def test_rows(self, rows: list[dict[str, Any]]) -> None:
        """Each row becomes an object, whatever the form."""
        columns = [*rows[0]]
        split = {
            "columns": columns,
            "index": [0],
            "data": [[row[column] for column in columns] for row in rows],
        }
        lists = {column: [row[column] for row in rows] for column in columns}
        for body in (
            {"dataframe_split": split},
            {"dataframe_records": rows},
            {"instances": rows},
            {"inputs": rows},
            {"inputs": lists},
        ):
            assert read(body | {"signature_name": "default"}) == rows
        assert read({"inputs": rows[0]}) == rows[:1]

    @given(st.lists(st.text()), st.text())
    def test_texts(self, texts: list[str], column: str) -> None:
        """A model of texts gets the texts of the only column."""
        for body in (
            {"dataframe_split": {"columns": [column], "data": [[text] for text in texts]}},
            {"dataframe_records": [{column: text} for text in texts]},
            {"inputs": {column: texts}},
            {"inputs": texts},
            {"instances": texts},
        ):
            assert read(body, is_text=True) == texts
        assert read({"inputs": column}, is_text=True) == [column]

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"", "the JSON is cut off|truncated|empty"),
            (b'{"inputs": [NaN]}', "NaN|invalid"),
            (b"\xff", "expected a value"),
            ([], "Expected `object`"),
            ({}, "must have one of dataframe_split, .*, but has none of them"),
            ({"inputs": [], "instances": []}, "but has instances and inputs"),
            ({"instances": 1}, "Expected `array`"),
            ({"dataframe_records": [1]}, "Expected `object`"),
            ({"dataframe_split": {"columns": ["a"]}}, "missing required field `data`"),
            (
                {"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}},
                "row 1 has 2 values for 1 columns",
            ),
            ({"inputs": {"a": [1], "b": 2}}, "some fields are lists and some are not"),
            ({"inputs": {"a": [1], "b": [2, 3]}}, r"the columns have \[1, 2\] values"),
            ({"inputs": [], "params": []}, "Expected `object"),
        ],
    )
    def test_malformed(self, body: object, words: str) -> None:
        """What is wrong is named."""
        with pytest.raises(InvalidRequest, match=words):
            read(body)

    def test_columns_of_a_text(self) -> None:
        """A model of texts takes one column."""
        with pytest.raises(InvalidRequest, match="row 0 has 2 columns"):
            read({"dataframe_records": [{"a": "x", "b": "y"}]}, is_text=True)

    @given(st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
    def test_any(self, body: bytes) -> None:
        """Anything else is refused."""
        with pytest.raises(InvalidRequest):
            mlflow_json.decode(body, is_text=False)
