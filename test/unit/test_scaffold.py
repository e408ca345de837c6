from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from dev import PYTHONPATH
from tidemill import scaffold
from tidemill.cli import cli
from tidemill.errors import ConfigurationError, FolderExists, InvalidProjectName
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.models import catalogue, host
from tidemill.settings import load

if TYPE_CHECKING:
    from pathlib import Path


class TestCreate:
    """A new folder holds a model that works."""

    @pytest.mark.parametrize("name", ["scaffolded", "two-words", "with_line", "x1"])
    def test_works_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """The entry answers two of the three messages, and refuses the third by name."""
        folder = tmp_path / name
        scaffold.create(folder)
        monkeypatch.syspath_prepend(str(folder))
        settings = load(folder / "config.yaml")
        assert settings.stream.dead_letter_topic == f"{name}-output.dlq"
        predictor = Predictor(
            catalogue.load_models(settings.models), local_engine(host.load, clock=time.time)
        )
        lines = (folder / "messages.jsonl").read_bytes().splitlines()
        good, bad, third = predictor.predict([Message(line) for line in lines])
        assert isinstance(good, Prediction)
        assert isinstance(bad, Prediction)
        assert json.loads(good.value)["prediction"] == {"positive": True}
        assert json.loads(bad.value)["prediction"] == {"positive": False}
        assert isinstance(third, Failure)
        assert type(third.error).__name__ == "MissingField"

    def test_its_own_test_passes(self, tmp_path: Path) -> None:
        """With Python alone; and it fails if the model drops an output."""
        folder = tmp_path / "mine"
        scaffold.create(folder)

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-B", "-m", "unittest"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": PYTHONPATH},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )

        done = run()
        assert done.returncode == 0, done.stderr
        assert "Ran 2 tests" in done.stderr
        module = folder / "mine.py"
        module.write_text(
            module.read_text().replace("for text in inputs", "for text in inputs[1:]")
        )
        assert run().returncode == 1

    def test_contract(self, tmp_path: Path) -> None:
        """The model keeps the contract that the kit checks."""
        scaffold.create(tmp_path / "mine")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tidemill.testing.plugin", "models.yaml"],
            cwd=tmp_path / "mine",
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "10 passed" in done.stdout

    def test_dockerfile(self, tmp_path: Path) -> None:
        """It copies what the folder holds, to where the image looks for models."""
        folder = tmp_path / "mine"
        scaffold.create(folder)
        lines = (folder / "Dockerfile").read_text().splitlines()
        copied = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
        assert all((folder / name).exists() for names in copied for name in names)
        assert "COPY mine.py /models/" in lines
        assert "FROM tidemill:local" in lines

    def test_no_placeholder_is_left(self, tmp_path: Path) -> None:
        """Each template is filled in, and YAML stays YAML."""
        folder = tmp_path / "a-b"
        scaffold.create(folder)
        texts = {file.name: file.read_text() for file in folder.iterdir()}
        assert len(texts) == 8
        schema = texts.pop("models.schema.json")
        assert "$defs" in json.loads(schema)
        models = texts.pop("models.yaml")
        first, _, rest = models.partition("\n")
        assert first == "# yaml-language-server: $schema=models.schema.json"
        assert not [name for name, text in texts.items() if "$" in text or "template" in name]
        assert "$" not in rest
        assert yaml.safe_load(models)["models"][0]["adapter"] == "a_b:AB"


class TestRefused:
    """Nothing is overwritten, and nothing gets a name that Python cannot import."""

    @pytest.mark.parametrize(
        "name",
        ["json", "class", "tidemill", "pyspark", "Foo", "1a", "a.b", "a b", "-a", "a--b", "é"],
    )
    def test_names(self, tmp_path: Path, name: str) -> None:
        """Reserved, installed or unusable names make no folder."""
        with pytest.raises(InvalidProjectName, match="model's name"):
            scaffold.create(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("what", ["folder", "file"])
    def test_existing(self, tmp_path: Path, what: str) -> None:
        """An existing folder or file stays as it is."""
        path = tmp_path / "mine"
        path.mkdir() if what == "folder" else path.write_text("mine")
        with pytest.raises(FolderExists) as caught:
            scaffold.create(path)
        assert isinstance(caught.value, ConfigurationError)
        assert path.is_dir() or path.read_text() == "mine"


class TestCommand:
    """`tidemill init` says what to do next."""

    def test_next_commands(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They test the model, try the messages, check the topics, and start the stream."""
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(cli, ["init", "mine"])
        assert done.exit_code == 0
        commands = [line.strip() for line in done.output.splitlines() if line.startswith("  ")]
        test, predict, serve, check, stream = commands
        assert test.startswith("cd mine && ")
        assert test.endswith("-m unittest")
        assert predict.endswith("tidemill predict < messages.jsonl")
        assert "tidemill serve " in serve
        assert "tidemill check " in check
        assert stream.endswith("tidemill stream")
