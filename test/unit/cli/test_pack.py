"""`tidemill pack` writes, changes, shows, checks and compares artifacts."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import pytest
from prophet.serialize import model_to_json
from prophet_models import fit
from typer.testing import CliRunner, Result

from tidemill.cli import cli
from tidemill.errors import (
    ArtifactDamaged,
    DuplicateKey,
    InputUnreadable,
    OutputExists,
    UntrustedPickle,
)
from tidemill.packing.artifact import Artifact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three saved models, and a file that is none."""
    folder = tmp_path_factory.mktemp("models")
    for number in range(3):
        model = fit(number, freq="W", regressors=number % 2).model
        text = model_to_json(model)
        # Prophet's documentation writes the text as JSON once more.
        (folder / f"store-{number}.json").write_text(json.dumps(text) if number == 2 else text)
    (folder / "README.txt").write_text("no model")
    return folder


@pytest.fixture
def invoke() -> Invoke:
    """Run the command line, and raise what it raises."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(
            cli, ["pack", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "100"}
        )

    return run


def test_create_and_add(invoke: Invoke, models: Path, tmp_path: Path) -> None:
    """Keys are the files' names; another artifact can have more, fewer or newer models."""
    shown = invoke("create", tmp_path / "one", models).stdout
    assert "3 models" in shown
    assert "flat growth" in shown or "linear growth" in shown
    assert [*Artifact.open(tmp_path / "one")] == ["store-0", "store-1", "store-2"]
    new = tmp_path / "store-9.json"
    new.write_text((models / "store-0.json").read_text())
    invoke("add", tmp_path / "one", tmp_path / "two", new, "--remove", "store-1")
    listed = invoke("show", "--keys", tmp_path / "two").stdout
    assert listed == "store-0\nstore-2\nstore-9\n"
    assert invoke("verify", tmp_path / "two").exit_code == 0
    with pytest.raises(DuplicateKey, match="'store-0'"):
        invoke("add", tmp_path / "one", tmp_path / "three", models / "store-0.json")
    invoke("add", tmp_path / "one", tmp_path / "three", models / "store-0.json", "--replace")
    with pytest.raises(OutputExists):
        invoke("create", tmp_path / "one", models)


def test_report(invoke: Invoke, models: Path) -> None:
    """All kinds predict the same, and rows of numbers are the smallest."""
    lines = invoke("report", models).stdout.splitlines()
    rows = [line for line in lines if "yes" in line or " no " in line]
    assert len(rows) == 9
    assert all("yes" in row for row in rows)
    assert "│ prophet " in rows[0]


def test_pickles(invoke: Invoke, tmp_path: Path) -> None:
    """A pickle is loaded only if the user trusts it."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(fit(0).model))
    with pytest.raises(UntrustedPickle, match=r"a\.pkl has pickles"):
        invoke("create", tmp_path / "one", tmp_path / "a.pkl")
    invoke("create", tmp_path / "one", tmp_path / "a.pkl", "--trust", "pickle")
    assert [*Artifact.open(tmp_path / "one")] == ["a"]


def test_bad_files(invoke: Invoke, models: Path, tmp_path: Path) -> None:
    """What is no model, and what is no artifact any more, is named."""
    (tmp_path / "a.json").write_text('{"growth": "linear"}')
    with pytest.raises(InputUnreadable, match=r"a\.json"):
        invoke("create", tmp_path / "one", tmp_path / "a.json")
    with pytest.raises(InputUnreadable, match="there is no model"):
        invoke("create", tmp_path / "one", models / "README.txt")
    invoke("create", tmp_path / "one", models)
    for part in (tmp_path / "one").glob("*.bin"):
        part.write_bytes(b"")
    with pytest.raises(ArtifactDamaged):
        invoke("verify", tmp_path / "one")
