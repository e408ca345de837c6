"""`tidemill task` submits, watches, lists, cancels and retries."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tidemill.cli import cli
from tidemill.errors import (
    CannotRetry,
    InputUnreadable,
    InvalidSelection,
    MetricsPortTaken,
    NoJobs,
    NoResult,
    NotEnded,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Invoke = Callable[..., str]

CONFIG = """
tasks:
  jobs:
    count: {job: "long_jobs:Count", options: {factor: 10}}
    fail: {job: "long_jobs:Fail"}
"""


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the command line in an empty folder; return what it prints, and raise what it raises."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")

    def run(*arguments: str, stdin: str | None = None) -> str:
        words = ["task", *arguments]
        return CliRunner().invoke(cli, words, catch_exceptions=False, input=stdin).stdout.strip()

    return run


@pytest.mark.parametrize("file", ["missing.json", "."])
def test_unreadable_file(invoke: Invoke, file: str) -> None:
    """A file of parameters that cannot be read is an error that names it."""
    with pytest.raises(InputUnreadable, match=f"read {file}: (No such file|Is a directory)"):
        invoke("submit", "count", f"@{file}")


def test_a_task(invoke: Invoke, tmp_path: Path) -> None:
    """Parameters come from the command line, a file or standard input; the result is JSON."""
    assert invoke("list") == "no runs"
    (tmp_path / "parameters.json").write_text('{"steps": 2}', "utf-8")
    run = invoke("submit", "count", "@parameters.json", "--key", "a")
    assert invoke("submit", "count", "-", "--key", "a", stdin='{"steps":2}') == run
    assert json.loads(invoke("status", run))["state"] == "waiting"
    with pytest.raises(NotEnded):
        invoke("result", run)
    failing = invoke("submit", "fail")
    invoke("work", "--until-idle", "--slots", "2")
    invoke("watch", run)
    assert invoke("result", run) == '{"steps":20}'
    with pytest.raises(NoResult, match="no shelf is long enough"):
        invoke("watch", failing)
    with pytest.raises(CannotRetry):
        invoke("retry", run)
    assert invoke("retry", failing) == f"{failing} is waiting"
    with pytest.raises(CannotRetry, match="cancel it first"):
        invoke("retry", failing)
    assert invoke("cancel", failing) == f"{failing} is cancelled"
    listed = [json.loads(line) for line in invoke("list", "--json").splitlines()]
    assert [(each["id"], each["state"]) for each in listed] == [
        (failing, "cancelled"),
        (run, "succeeded"),
    ]
    assert "succeeded" in invoke("list", "--job", "count", "--state", "succeeded")
    assert invoke("list", "--state", "running") == "no runs"


def test_schema(invoke: Invoke) -> None:
    """The schema of a job's parameters is that of their type hint."""
    schema = json.loads(invoke("schema", "count"))
    assert schema["required"] == ["steps"]
    assert schema["properties"]["seconds"]["default"] == 0.05


def test_no_jobs(invoke: Invoke, tmp_path: Path) -> None:
    """A worker with nothing to run, such as one in the wrong folder, does not start."""
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(NoJobs, match="list no jobs"):
        invoke("work")
    assert not list(tmp_path.iterdir())


def test_unknown_state(invoke: Invoke) -> None:
    """A state that there is not is refused, and the others are named."""
    with pytest.raises(InvalidSelection) as error:
        invoke("list", "--state", "done")
    assert "waiting, running" in error.value.hint


def test_metrics(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose port for metrics is taken says so, and runs nothing."""
    run = invoke("submit", "count", '{"steps": 1}')
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("TIDEMILL__TASKS__METRICS_PORT", str(server.getsockname()[1]))
        with pytest.raises(MetricsPortTaken) as error:
            invoke("work", "--until-idle")
    assert "tasks.metrics_port" in str(error.value.hint)
    assert json.loads(invoke("status", run))["attempt"] == 0
