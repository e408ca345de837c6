"""Workers and databases are killed, and no task is lost, stuck, or has two results."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from workers import programs, until

from dev.pipeline.job_process import running_processes
from dev.postgres import Postgres
from faults.task_round import play
from tidemill.settings import Settings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tidemill.tasks.tasks import Tasks

    OpenTasks = Callable[..., Tasks]
    Work = Callable[..., subprocess.Popen[bytes]]

COUNT = {"job": "long_jobs:Count", "timeout": 120, "attempts": 30}
DIE = {"job": "long_jobs:Die", "attempts": 2}
HANG = {"job": "long_jobs:Hang"}


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    """Return what starts a worker as a program of its own: `work(url)`."""
    config = tmp_path / "config.yaml"
    jobs = {"Count": COUNT, "Die": DIE, "Hang": HANG}
    with programs(config, tmp_path / "log") as start:

        def worker(url: str, take_over: float = 2) -> subprocess.Popen[bytes]:
            settings = {
                "store": {"url": url},
                "tasks": {"jobs": jobs, "take_over": take_over, "slots": 2},
            }
            Settings.model_validate(settings)
            config.write_text(json.dumps(settings), "utf-8")
            return start()

        yield worker


@pytest.mark.parametrize(
    ("kind", "strikes"),
    [
        ("sqlite", ["worker", "worker, frozen", "client"]),
        pytest.param("postgresql", ["worker's group", "database", "task"], marks=pytest.mark.slow),
    ],
)
def test_short_campaign(kind: str, strikes: list[str]) -> None:
    """Each task ends once, as it must, whatever is killed; `make faults-tasks` kills more."""
    with TemporaryDirectory() as folder:  # which other users may open, as PostgreSQL's must
        found = play(Path(folder), kind, strikes)
    assert found.kills.total() == len(strikes)
    assert found.tasks["succeeded"]
    assert found.problems == []


def test_programs_of_tasks(
    open_tasks: OpenTasks, file_url: str, tmp_path: Path, work: Work
) -> None:
    """If a worker is killed, so are the programs that its tasks have started."""
    tasks, file = open_tasks(file_url, Hang={}), tmp_path / "processes"
    run = tasks.submit("Hang", {"file": str(file)})
    worker = work(file_url)
    until(lambda: tasks.get(run).phrase == "hanging")
    worker.kill()
    until(lambda: not set(map(int, file.read_text("utf-8").split())) & running_processes().keys())


def test_deadly_task(open_tasks: OpenTasks, file_url: str, work: Work) -> None:
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
def test_database_restart(open_tasks: OpenTasks, tmp_path: Path, work: Work) -> None:
    """Tasks go on while PostgreSQL is away for longer than the take-over time, and end once."""
    with Postgres() as server:
        tasks, file = open_tasks(server.url, Count={}), tmp_path / "notes"
        submit = {"steps": 20, "file": str(file), "seconds": 0.2}
        runs = [tasks.submit("Count", submit) for _ in range(2)]
        worker, other = (work(server.url, take_over=10) for _ in range(2))
        log = tmp_path / "log"
        until(lambda: log.read_text("utf-8").count("worker started") == 2)
        until(lambda: len(tasks.list(state="running")) == 2)
        with restarted(server):
            time.sleep(11)
        until(lambda: all(tasks.get(run).has_ended for run in runs))
        assert file.read_text("utf-8") == "begin\n" * 2 + "end\n" * 2
        assert [json.loads(bytes(tasks.result(run))) for run in runs] == [{"steps": 20}] * 2
        assert [tasks.get(run).attempt for run in runs] == [1, 1]
        assert worker.poll() is other.poll() is None
