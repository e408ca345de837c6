"""Workers and databases are killed, and no task is lost, stuck, or has two results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dev.postgres import Postgres
from tidemill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidemill.tasks.tasks import Tasks

    OpenTasks = Callable[..., Tasks]

WAIT_S = 200.0
COUNT = {"job": "long_jobs:Count", "timeout": 120, "attempts": 30}
DIE = {"job": "long_jobs:Die", "attempts": 2}


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return what starts a worker as a program of its own: `work(url)`."""
    started = []

    def worker(url: str) -> subprocess.Popen[bytes]:
        settings = {
            "store": {"url": url},
            "tasks": {"jobs": {"Count": COUNT, "Die": DIE}, "take_over": 2, "slots": 2},
        }
        Settings.model_validate(settings)
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps(settings), "utf-8")
        with (tmp_path / "log").open("ab") as log:
            command = [sys.executable, "-m", "tidemill", "task", "work", "-c", str(config)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield worker
    for process in started:
        process.kill()
        process.wait()


def check(tasks: Tasks, runs: list[str], file: Path) -> None:
    """Wait until all runs have ended; each has one result, and was run to its end at least once."""
    until(lambda: all(tasks.get(run).has_ended for run in runs))
    assert {tasks.get(run).error for run in runs} == {None}
    assert [json.loads(bytes(tasks.result(run))) for run in runs] == [{"steps": 20}] * len(runs)
    (stats,) = tasks.store.stats(count=True)
    assert (stats.name, stats.rows) == ("task_results", len(runs))
    notes = file.read_text("utf-8").splitlines()
    assert notes.count("end") >= len(runs)


@pytest.mark.slow
def test_killed_workers(
    open_tasks: OpenTasks,
    url: str,
    tmp_path: Path,
    work: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    """Two workers share a database; whichever is killed, the other takes its tasks over."""
    tasks, file = open_tasks(url, Count={}), tmp_path / "notes"
    runs = [
        tasks.submit("Count", {"steps": 20, "file": str(file), "seconds": 0.1}) for _ in range(6)
    ]
    workers = [work(url), work(url)]
    for kill in range(3):
        until(lambda: tasks.list(state="running") or not _open(tasks))
        victim = workers.pop(0)
        victim.send_signal(signal.SIGKILL if kill < 2 else signal.SIGSTOP)
        workers.append(work(url))
        if kill == 2:  # frozen for longer than the take-over time, then alive again
            time.sleep(3)
            victim.send_signal(signal.SIGCONT)
    check(tasks, runs, file)


def test_deadly_task(
    open_tasks: OpenTasks, file_url: str, work: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """A task that kills its workers fails by name after so many attempts, and others go on."""
    tasks = open_tasks(file_url, Count={}, Die={})
    deadly = tasks.submit("Die", {"worker": True})
    workers = [work(file_url)]
    until(lambda: workers[0].poll() is not None)
    other = tasks.submit("Count", {"steps": 1})
    workers.append(work(file_url))
    until(lambda: workers[1].poll() is not None or tasks.get(deadly).has_ended)
    work(file_url)
    until(lambda: tasks.get(deadly).has_ended and tasks.get(other).has_ended)
    assert tasks.get(other).state == "succeeded"
    error = tasks.get(deadly).error or ""
    assert error.startswith("TaskCrashed: the task was tried 2 times")


@contextmanager
def restarted(server: Postgres) -> Iterator[None]:
    """Stop a server for the block."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.mark.slow
def test_database_restart(
    open_tasks: OpenTasks, tmp_path: Path, work: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """Tasks go on while PostgreSQL is away for longer than the take-over time, and end once."""
    with Postgres() as server:
        tasks, file = open_tasks(server.url, Count={}), tmp_path / "notes"
        submit = {"steps": 20, "file": str(file), "seconds": 0.2}
        runs = [tasks.submit("Count", submit) for _ in range(2)]
        worker, other = work(server.url), work(server.url)
        log = tmp_path / "log"
        until(lambda: log.read_text("utf-8").count("worker started") == 2)
        until(lambda: len(tasks.list(state="running")) == 2)
        with restarted(server):
            time.sleep(3)
        check(tasks, runs, file)
        assert [tasks.get(run).attempt for run in runs] == [1, 1]
        assert worker.poll() is other.poll() is None


def _open(tasks: Tasks) -> list[str]:
    return [run.id for run in tasks.list() if not run.has_ended]
