"""The wheel works where there is no checkout."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import tidemill
from dev import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

MODEL = '''
import json
import sys

import tidemill


class Where:
    """Answer with the text, and with what ran the model."""

    def predict_all(self, inputs):
        place = {"tidemill": tidemill.__file__, "prefix": sys.prefix, "path": sys.path}
        return [json.dumps({"text": text, **place}) for text in inputs]
'''
ENTRIES = """
models:
  - name: where
    version: "1"
    adapter: where:Where
    match: {lang: en}
    payload: text
    result: answer
    sample: a sample
"""
MESSAGES = [
    {"uuid": "1", "lang": "en", "text": "one"},
    {"uuid": "2", "lang": "xx", "text": "two"},
    {"uuid": "3", "lang": "en", "text": "three"},
]


@pytest.fixture(scope="module")
def with_stream(install: Callable[..., Path]) -> Path:
    """An environment with the wheel and the extra."""
    return install("stream")


@pytest.fixture(scope="module")
def core(install: Callable[..., Path]) -> Path:
    """An environment with the wheel alone."""
    return install()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: a model, its entry and some messages."""
    (tmp_path / "where.py").write_text(MODEL, "utf-8")
    (tmp_path / "models.yaml").write_text(ENTRIES, "utf-8")
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(m) + "\n" for m in MESSAGES), "utf-8")
    return tmp_path


def runner(prefix: Path, folder: Path, environment: dict[str, str]) -> Run:
    """Return what runs a program of an environment in a folder."""

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [prefix / "bin" / program, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    return run


class TestStream:
    """With the extra `stream` everything is there to answer a file, and messages on Kafka."""

    @pytest.fixture
    def run(self, with_stream: Path, folder: Path, environment: dict[str, str]) -> Run:
        """Run one of its programs in the user's folder."""
        return runner(with_stream, folder, environment)

    def test_batch(self, run: Run, with_stream: Path, folder: Path) -> None:
        """A model from the user's own folder answers a file."""
        done = run("tidemill", "batch", "--input", "in.jsonl", "--output", "out")
        assert done.returncode == 0, done.stderr
        assert "3 messages = 2 results + 1 dead letter, in jsonl:out" in done.stdout
        results = [
            json.loads(line)
            for file in sorted((folder / "out" / "results").glob("part-*"))
            for line in file.read_text("utf-8").splitlines()
        ]
        assert sorted(result["uuid"] for result in results) == ["1", "3"]
        for result in results:
            answer: dict[str, Any] = result["answer"]
            assert answer["prefix"] == str(with_stream)
            assert answer["tidemill"].startswith(f"{with_stream}/")
            assert not [part for part in answer["path"] if part.startswith(str(ROOT))]

    def test_public_api(self, run: Run) -> None:
        """All public names can be imported."""
        done = run("python", "-c", f"from tidemill import {', '.join(tidemill.__all__)}")
        assert done.returncode == 0, done.stderr

    def test_every_module(self, run: Run) -> None:
        """Every module can be imported, but for those of other extras."""
        program = """
import importlib, pkgutil, tidemill
from tidemill.errors import MissingExtra
for module in pkgutil.walk_packages(tidemill.__path__, "tidemill."):
    if module.name == "tidemill.__main__" or module.name.startswith("tidemill.testing."):
        continue
    try:
        importlib.import_module(module.name)
    except (MissingExtra, ModuleNotFoundError):
        print(module.name)
"""
        done = run("python", "-W", "error::SyntaxWarning", "-c", program)
        assert done.returncode == 0, done.stderr
        of_others = (
            "tidemill.bootstrap.follow",
            "tidemill.bootstrap.serve",
            "tidemill.bootstrap.store",
            "tidemill.bootstrap.task_metrics",
            "tidemill.bootstrap.tasks",
            "tidemill.client.grpc_transport",
            "tidemill.client.http_transport",
            "tidemill.follow.",
            "tidemill.models.adapters.",
            "tidemill.monitoring.task_metrics",
            "tidemill.packing.pyfunc",  # and its model
            "tidemill.protocol.",
            "tidemill.serving.",
            "tidemill.store",
            "tidemill.tasks.",
            "tidemill.terminal.tasks",
        )
        for module in done.stdout.split():
            assert module.startswith(of_others), f"{module} needs an extra"


class TestServe:
    """With the extra `serve`, the server runs without Spark."""

    def test_extras(
        self, install: Callable[..., Path], tmp_path: Path, environment: dict[str, str]
    ) -> None:
        """It imports no Spark, and names an extra that is missing."""
        prefix = install("serve")
        assert runner(prefix, tmp_path, environment)("tidemill", "init", "mine").returncode == 0
        run = runner(prefix, tmp_path / "mine", environment)
        program = "import tidemill.bootstrap.serve; import sys; assert 'pyspark' not in sys.modules"
        done = run("python", "-c", program)
        assert done.returncode == 0, done.stderr
        traced = environment | {"TIDEMILL__SERVING__TRACES": "true"}
        done = runner(prefix, tmp_path / "mine", traced)("tidemill", "serve")
        assert done.returncode == 2
        assert "tidemill[traces]" in done.stderr


class TestClient:
    """With the extra `client`, requests can be sent, without Spark and the server's packages."""

    def test_sends(
        self, install: Callable[..., Path], tmp_path: Path, environment: dict[str, str]
    ) -> None:
        """Over both protocols the client looks for the server."""
        run = runner(install("client"), tmp_path, environment)
        for scheme in ("http", "grpc"):
            program = (
                "import sys; from tidemill.client import Client; from tidemill.errors import *\n"
                f"with Client('{scheme}://127.0.0.1:1', timeout=3) as client:\n"
                "    try: client.predict('m', ['a'])\n"
                "    except (CannotConnect, RequestTimedOut) as error: print(error)\n"
                "print({'pyspark', 'starlette', 'pandas', 'numpy'} & {*sys.modules})"
            )
            done = run("python", "-W", "error", "-c", program)
            assert "127.0.0.1:1" in done.stdout, done.stderr
            assert done.stdout.endswith("set()\n")


class TestTesting:
    """With the extra `testing`, pytest knows how to test a model."""

    def test_models(
        self, install: Callable[..., Path], tmp_path: Path, environment: dict[str, str]
    ) -> None:
        """The plugin registers itself, and finds the model's module in the working folder."""
        prefix = install("testing")
        assert runner(prefix, tmp_path, environment)("tidemill", "init", "mine").returncode == 0
        run = runner(prefix, tmp_path / "mine", environment)
        done = run("pytest", "-W", "error", "models.yaml")
        assert done.returncode == 0, done.stdout
        assert "10 passed" in done.stdout


class TestCore:
    """Without an extra the command line explains itself, and the core API works."""

    @pytest.fixture
    def run(self, core: Path, folder: Path, environment: dict[str, str]) -> Run:
        """Run one of its programs in the user's folder."""
        return runner(core, folder, environment)

    def test_small(self, core: Path) -> None:
        """Neither Spark nor a Kafka client is installed."""
        packages = {file.name for file in core.glob("lib/python*/site-packages/*")}
        assert "tidemill" in packages
        assert not packages & {"pyspark", "pandas", "pyarrow", "kafka", "confluent_kafka"}

    @pytest.mark.parametrize("arguments", [["--help"], ["batch", "--help"], ["version"]])
    def test_command_line(self, run: Run, arguments: list[str]) -> None:
        """The help and the version are printed."""
        done = run("tidemill", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout

    def test_core_api(self, run: Run) -> None:
        """A model answers messages in this process."""
        program = """
import time
from tidemill import Message, Prediction, load_models
from tidemill.inference.engine import local_engine
from tidemill.inference.predictor import Predictor
from tidemill.models import host
predictor = Predictor(load_models("models.yaml"), local_engine(host.load, clock=time.time))
message = Message(b'{"lang": "en", "text": "a"}')
assert isinstance(predictor.predict([message])[0], Prediction)
"""
        done = run("python", "-c", program)
        assert (done.returncode, done.stderr) == (0, "")

    def test_predict(self, run: Run, folder: Path) -> None:
        """`tidemill predict` works without an extra."""
        (folder / "in.jsonl").write_text('{"lang": "en", "text": "a", "uuid": "1"}\n')
        done = run("tidemill", "predict", "--input", "in.jsonl")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith('{"uuid":"1",')

    @pytest.mark.parametrize(
        "arguments",
        [["stream"], ["batch", "-i", "in.jsonl", "-o", "out"], ["lag"], ["dlq", "list"]],
    )
    def test_missing_extra(self, run: Run, arguments: list[str]) -> None:
        """A command that needs an extra names it, with exit code 2."""
        done = run("tidemill", *arguments)
        assert done.returncode == 2
        assert 'pip install "tidemill[stream]"' in done.stderr
        assert "Traceback" not in done.stderr
