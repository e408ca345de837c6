"""Tests of look-ups in every door: `predict`, a batch, the engine, HTTP and gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import server_process
from server_process import Server

from dev import PYTHONPATH
from dev.postgres import Postgres
from tidemill.bootstrap.batch import batch
from tidemill.bootstrap.explain import explain_isolated
from tidemill.explain.explanation import record_of
from tidemill.explain.origin import Origin
from tidemill.inference.engine import local_engine
from tidemill.inference.features import complete
from tidemill.inference.message import Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.models import catalogue, host
from tidemill.settings import Settings, StoreSettings
from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    Answers = list[tuple[str, Any]]

ENTRY = """
models:
  - name: echo
    version: 1
    adapter: feature_models:Echo
    payload: [km]
    id_field: id
    result: out
    sample: {{km: 1, age: 1, tier: gold}}
    schema: {{properties: {{age: {{type: [integer, "null"]}}, tier: {{enum: [gold]}}}}}}
    lookup:
      - {{table: people, key: person}}
"""
OTHER = """
  - {{name: upper, version: 1, adapter: "served_models:Upper", sample: a, match: {{to: b}}}}
"""
PEOPLE: list[dict[str, object]] = [
    {"id": "ada", "age": 36, "tier": "gold"},
    {"id": "bob", "age": None, "tier": "gold"},
    {"id": "eve", "age": 9, "tier": "tin"},
]
MESSAGES: list[dict[str, Any]] = [
    {"id": 0, "person": "ada", "km": 4.5},
    {"id": 1, "person": "nobody", "km": 1},
    {"id": 2, "person": "bob", "km": 2, "age": 40},  # the message wins
    {"id": 3, "person": "eve", "km": 3},  # what the store adds violates the schema
    {"id": 4, "person": 5, "km": 3},
    {"id": 5, "km": 3},
    {"id": 6, "person": "ada", "km": "no number", "more": 1},
    {"id": 7, "person": "bob", "km": None, "age": "no number"},
]
LOADED = {"people": 1}
EXPECTED: Answers = [
    ("echo:1", {"km": 4.5, "age": 36, "tier": "gold"}),
    ("echo:1", "FeaturesMissing"),
    ("echo:1", {"km": 2, "age": 40, "tier": "gold"}),
    ("echo:1", "InvalidInput"),
    ("echo:1", "InvalidKey"),
    ("echo:1", "MissingField"),
    ("echo:1", {"km": "no number", "age": 36, "tier": "gold"}),
    ("echo:1", "InvalidInput"),
]


def fill(url: str) -> None:
    """Load the table `people` into a store."""
    columns: Any = {"id": "text", "age": "integer or null", "tier": "text"}
    with Store(url) as store:
        store.load(Table("people", ("id",), columns), PEOPLE)


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """The URL of a store in SQLite, next to a models.yaml and the messages."""
    url = f"sqlite:///{tmp_path}/store.db"
    fill(url)
    (tmp_path / "models.yaml").write_text(ENTRY.format())
    (tmp_path / "config.yaml").write_text(f"store: {{url: '{url}'}}")
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(each) + "\n" for each in MESSAGES))
    return url


def read(results: bytes, dead_letters: bytes, features: object = LOADED) -> Answers:
    """Return the answers in the files of a door, by the id of their message."""
    answers: dict[int, tuple[str, Any]] = {}
    for line in results.splitlines():
        result = json.loads(line)
        assert result.get("features") == features
        answers[result["id"]] = result["model"], result["out"]
    for line in dead_letters.splitlines():
        letter = json.loads(line)
        headers = letter["headers"]
        answers[json.loads(letter["value"])["id"]] = (
            headers["tidemill.model"],
            headers["tidemill.error.class"],
        )
    return [answers[message["id"]] for message in MESSAGES]


class TestFiles:
    """Messages in files and in memory."""

    def test_engine(self, filled: str, tmp_path: Path) -> None:
        """The engine gives features, and errors in the places of the others."""
        with Store(filled) as store:
            engine = local_engine(
                host.load, clock=time.time, complete=partial(complete, store=store, clock=time.time)
            )
            predictor = Predictor(catalogue.load_models(tmp_path / "models.yaml"), engine)
            outcomes = predictor.predict([Message(json.dumps(m).encode()) for m in MESSAGES])
        assert [
            (each.model, json.loads(each.value)["out"])
            if isinstance(each, Prediction)
            else (each.model, each.error_class)
            for each in outcomes
        ] == EXPECTED

    def test_predict(self, filled: str, tmp_path: Path) -> None:
        """The command `predict` finds the store in the settings."""
        path = f"{PYTHONPATH}:{Path(server_process.__file__).parent}"
        done = subprocess.run(
            [sys.executable, "-m", "app", "predict", "--input", "in.jsonl"],
            cwd=tmp_path,
            env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=True,
        )
        assert read(done.stdout, done.stderr) == EXPECTED

    def test_explain(self, filled: str, tmp_path: Path) -> None:
        """`explain` shows the complete input, or that the step failed because a row is missing."""
        routes = catalogue.load_models(tmp_path / "models.yaml")
        explained = [
            explain_isolated(
                routes,
                Message(json.dumps(message).encode()),
                Origin("here"),
                record_of,
                lambda *_, **__: None,
                store=StoreSettings(url=filled),
            )
            for message in MESSAGES[:2]
        ]
        good, bad = (
            next(step for step in each.steps if step.name == "input") for each in explained
        )
        assert json.loads(good.facts["input"]) == EXPECTED[0][1]
        assert good.facts["features"] == {"people": 1}
        assert (bad.status, bad.facts["error"]["class"]) == ("failed", "FeaturesMissing")

    def test_batch(self, filled: str, tmp_path: Path) -> None:
        """A batch on this machine completes inputs before the pool's processes get them."""
        settings = Settings(models=tmp_path / "models.yaml", store=StoreSettings(url=filled))
        target = tmp_path / "out"
        batch(settings, str(tmp_path / "in.jsonl"), str(target), lambda *_, **__: None)
        results, dead = (
            b"".join(file.read_bytes() for file in sorted(target.glob(f"{name}/*.jsonl")))
            for name in ("results", "dead-letters")
        )
        assert read(results, dead) == EXPECTED


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Server, Postgres]]:
    """A server whose store is a PostgreSQL that can be stopped."""
    with Postgres() as database, pytest.MonkeyPatch.context() as patch:
        fill(database.url)
        patch.setenv("TIDEMILL__STORE__URL", database.url)
        patch.setenv("TIDEMILL__STORE__TIMEOUT", "2")
        with server_process.running(models=ENTRY + OTHER, processes=1) as server:
            yield server, database


class TestServer:
    """Requests to a server."""

    def test_plain(self, served: tuple[Server, Postgres]) -> None:
        """A plain request has an output or an error for each input, and the generation."""
        server, _ = served
        response = server.ask("echo", *MESSAGES)
        answers = [
            ("echo:1", each["error"]["title"] if "error" in each else each)
            for each in response.json["outputs"]
        ]
        assert answers == EXPECTED
        assert server.ask("echo", MESSAGES[0]).json["features"] == {"people": 1}

    def test_duration(self, served: tuple[Server, Postgres]) -> None:
        """A request that needs features is counted with its duration, another is not."""
        server, _ = served

        def counted() -> float:
            text = server.send("/metrics").body.decode()
            return float(text.partition("\ntidemill_features_seconds_count ")[2].partition("\n")[0])

        before = counted()
        server.ask("upper", "a")
        server.ask("echo", *MESSAGES)
        assert counted() == before + 1

    def test_v2(self, served: tuple[Server, Postgres]) -> None:
        """V2 over HTTP and gRPC answers alike."""
        server, _ = served
        texts = [json.dumps(MESSAGES[n]) for n in (0, 2)]
        expected = [EXPECTED[n][1] for n in (0, 2)]
        response = server.infer("echo", *texts).json
        assert json.loads(response["parameters"]["features"]) == {"people": 1}
        (tensor,) = response["outputs"]
        assert [json.loads(text) for text in tensor["data"]] == expected
        (message,) = server.infer_grpc("echo", *texts).outputs
        found = [json.loads(text) for text in message.contents.bytes_contents]
        assert found == expected

    def test_v2_column(self, served: tuple[Server, Postgres]) -> None:
        """A tensor with the name of the key is a column of keys."""
        server, _ = served
        tensor = {"name": "person", "datatype": "BYTES", "shape": [2], "data": ["ada", "bob"]}
        (found,) = server.send("/v2/models/echo/infer", {"inputs": [tensor]}).json["outputs"]
        assert [json.loads(text)["age"] for text in found["data"]] == [36, None]

    def test_outage(self, served: tuple[Server, Postgres]) -> None:
        """While the store is down, its model answers 503, others answer, and it comes back."""
        server, database = served
        database.stop()
        try:
            down = server.ask("echo", MESSAGES[0])
            assert (down.status, down.json["title"]) == (503, "LookupsUnavailable")
            assert "postgres" not in str(down.json)  # where the store is, the log says
            assert server.ask("upper", "a").json["outputs"] == ["A"]
        finally:
            database.start()
        assert server.ask("echo", MESSAGES[0]).json["outputs"] == [EXPECTED[0][1]]

    def test_predict_with_servers(
        self, filled: str, tmp_path: Path, served: tuple[Server, Postgres]
    ) -> None:
        """`predict` leaves the look-up to the servers, which get the key."""
        server, _ = served
        endpoint = f"http://127.0.0.1:{server.port}"
        done = subprocess.run(
            [sys.executable, "-m", "app", "predict", "-i", "in.jsonl", "--endpoint", endpoint],
            cwd=tmp_path,
            env={"PYTHONPATH": PYTHONPATH, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        assert read(done.stdout, done.stderr, features=None) == EXPECTED

    def test_bad_key_alone(self, served: tuple[Server, Postgres]) -> None:
        """A request whose only key is missing is a client's error."""
        server, _ = served
        response = server.ask("echo", MESSAGES[1])
        assert (response.status, response.json["title"]) == (400, "FeaturesMissing")
