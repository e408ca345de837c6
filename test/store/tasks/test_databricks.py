"""A real worker runs a job of Databricks: one run there, whatever happens here."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from job_runs_api import RunsWorkspace, log_in
from jobs_api import TOKEN, serving
from workers import WAIT_S, programs, until

from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.tasks import Tasks
from tidemill.tasks.worker import Patience, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILL = {"job": "tidemill.tasks.databricks:DatabricksJob", "options": {"job_id": 101, "poll": 0.1}}


@pytest.fixture
def runs_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunsWorkspace]:
    """A local workspace with one job, whose runs do not end; the SDK is logged in to it."""
    workspace = RunsWorkspace(holds=True, output={"notebook_output": {"result": "[1]"}})
    workspace.add_job("fill")
    with serving(workspace) as served:
        log_in(served, tmp_path, monkeypatch)
        yield served


@pytest.fixture
def tasks(file_url: str, runs_workspace: RunsWorkspace) -> Iterator[Tasks]:
    """Tasks whose only job is the one in Databricks."""
    with Store(file_url) as store:
        yield Tasks(store, [Job("fill", FILL["job"], FILL["options"])])  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_worker_ends(
    how: signal.Signals, tasks: Tasks, file_url: str, tmp_path: Path, runs_workspace: RunsWorkspace
) -> None:
    """Whether the worker is killed or stopped, the next one goes on with the same run."""
    config, log = tmp_path / "config.yaml", tmp_path / "log"
    settings = {"store": {"url": file_url}, "tasks": {"jobs": {"fill": FILL}}}
    config.write_text(json.dumps(settings), "utf-8")
    run = tasks.submit("fill", {"shelf": 5})
    with programs(config, log) as start:
        worker = start()
        until(lambda: tasks.get(run).phrase.startswith("runs"))
        worker.send_signal(how)
        worker.wait(WAIT_S)
    runs_workspace.holds = False
    other = Worker(tasks, Patience(take_over=1))
    until(lambda: tasks.get(run).has_ended, other.step)
    result = json.loads(bytes(tasks.result(run)))
    assert (result["run_id"], result["output"]) == (102, [1])
    assert tasks.get(run).attempt == 2
    assert len(runs_workspace.asked) == 1
    assert runs_workspace.cancelled == []
    assert TOKEN not in log.read_text("utf-8")


@pytest.mark.parametrize("how", ["cancel", "time-out"])
def test_cancelled(how: str, tasks: Tasks, runs_workspace: RunsWorkspace) -> None:
    """A task that is cancelled or takes too long cancels its run; a retry starts another."""
    now = [0.0]  # stands still, so that the grace time does not end

    def step() -> None:
        now[0] += 1
        worker.step()

    worker = Worker(tasks, Patience(take_over=60, grace=60), clock=lambda: now[0])
    run = tasks.submit("fill", {})
    until(lambda: tasks.get(run).phrase.startswith("runs"), step)
    if how == "cancel":
        tasks.cancel(run)
        step()
    else:
        now[0] += 3600
    until(lambda: tasks.get(run).has_ended, worker.step)
    assert tasks.get(run).state == ("cancelled" if how == "cancel" else "failed")
    assert runs_workspace.cancelled == [102]

    runs_workspace.holds = False
    tasks.retry(run)
    until(lambda: tasks.get(run).has_ended, step)
    assert json.loads(bytes(tasks.result(run)))["run_id"] == 103


def test_failure(
    tasks: Tasks, runs_workspace: RunsWorkspace, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run that fails gives its error and its page, and no log has the token."""
    runs_workspace.holds = False
    runs_workspace.end = {"code": "RUN_EXECUTION_ERROR", "message": "Task main failed"}
    runs_workspace.output = {"error": "ValueError: no shelf is long enough"}
    run = tasks.submit("fill", {})
    Worker(tasks).run(until_idle=True)
    ended = tasks.get(run)
    assert ended.error == (
        "DatabricksRunFailed: the Databricks run 102 ended as RUN_EXECUTION_ERROR: "
        "ValueError: no shelf is long enough"
    )
    assert f"{runs_workspace.url}/#job/101/run/102" in (ended.hint or "")
    assert TOKEN not in "".join(capfd.readouterr())
