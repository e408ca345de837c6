"""Clocks jump, programs start at once, and databases refuse things: no task is lost or stuck."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from workers import until

from tidemill.errors import StoreUnavailable, UnknownRun
from tidemill.store import catalogue
from tidemill.tasks.leases import Leases
from tidemill.tasks.outbox import Outbox
from tidemill.tasks.outcome import Failure, Progress
from tidemill.tasks.runs import RESULTS, RUNS
from tidemill.tasks.worker import Patience, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.postgres import Postgres
    from tidemill.tasks.runs import Run
    from tidemill.tasks.tasks import Tasks

    OpenTasks = Callable[..., Tasks]

HOUR_S = 3600
FASTER = 100  # the clock of the workers here, so that a minute passes in less than a second
# What makes a database take no results with more than some characters.
REFUSING = {
    "sqlite": [
        """CREATE TRIGGER refuse BEFORE INSERT ON task_results__g1 WHEN length(new.data) > 200
        BEGIN SELECT RAISE(ABORT, 'it is too long'); END"""
    ],
    "postgresql": ["ALTER TABLE task_results__g1 ALTER COLUMN data TYPE varchar(200)"],
}
PROGRAMS = 4
OPEN = """
import os, sys
from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.tasks import Tasks

job = Job("Count", "long_jobs:Count")
job.parse('{"steps": 1}')

def submit():
    with Store(sys.argv[1]) as store:
        run = Tasks(store, [job]).submit("Count", {"steps": 1}, "key")
        os.write(1, f"{run}\\n".encode())  # at once, so that no two lines mix

programs = []
for _ in range(int(sys.argv[2])):
    programs.append(os.fork())
    if not programs[-1]:
        submit()
        sys.exit()
sys.exit(any(os.waitpid(program, 0)[1] for program in programs))
"""


def exists(tasks: Tasks, run: str) -> bool:
    """Return whether a run is not forgotten."""
    with suppress(UnknownRun):
        return bool(tasks.get(run))
    return False


def test_clock(
    open_tasks: OpenTasks, file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock jumps by hours: no run is taken over, none is forgotten but an old one."""
    ahead_s = 0
    jumping = SimpleNamespace(time_ns=lambda: time.time_ns() + ahead_s * 10**9)
    monkeypatch.setattr(catalogue, "time", jumping)
    tasks, file = open_tasks(file_url, Improve={"timeout": 10**6}), tmp_path / "go on"
    patience = Patience(take_over=2, keep=2 * HOUR_S)
    workers = [
        Worker(tasks, patience, name=name, clock=lambda: time.monotonic() * FASTER)
        for name in ("a", "b")
    ]
    steps = [worker.step for worker in workers]
    slow, old = tasks.submit("Improve", {"file": str(file)}), tasks.submit("Improve", {})
    quick = []
    until(
        lambda: tasks.get(slow).phrase and tasks.get(old).has_ended,
        *steps,
    )
    for ahead_s in (HOUR_S, -HOUR_S, 0):  # noqa: B007 - the clock above
        quick.append(tasks.submit("Improve", {}))
        until(lambda: tasks.get(quick[-1]).has_ended, *steps)
    file.touch()
    until(lambda: tasks.get(slow).has_ended, *steps)
    long_ago = sa.update(RUNS).values(ended=RUNS.c.ended - 3 * HOUR_S * 1000)
    with tasks.store.database.transaction() as connection:
        connection.execute(long_ago.where(RUNS.c.id == old))
    until(lambda: not exists(tasks, old), *steps)
    ended = [tasks.get(run) for run in (slow, *quick)]
    assert [(run.state, run.attempt) for run in ended] == [("succeeded", 1)] * 4
    assert all(tasks.result(run.id) for run in ended)


def test_wrong_clock(
    open_tasks: OpenTasks, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose clock is a day ahead when it starts forgets no run that others have ended."""
    tasks = open_tasks(postgres_url, Count={})
    recent, old = (tasks.cancel(tasks.submit("Count", {"steps": 1})).id for _ in range(2))
    long_ago = sa.update(RUNS).values(ended=RUNS.c.ended - 3 * HOUR_S * 1000)
    with tasks.store.database.transaction() as connection:
        connection.execute(long_ago.where(RUNS.c.id == old))
    ahead = SimpleNamespace(time_ns=lambda: time.time_ns() + 24 * HOUR_S * 10**9)
    monkeypatch.setattr(catalogue, "time", ahead)
    worker = Worker(tasks, Patience(keep=2 * HOUR_S))
    until(lambda: not exists(tasks, old), worker.step)
    assert exists(tasks, recent)


def test_programs_at_once(tmp_path: Path) -> None:
    """Programs that open the same new file of SQLite at the same time share one table of runs."""
    url = f"sqlite:///{tmp_path}/new/tasks.db"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", OPEN, url, str(PROGRAMS)]
    done = subprocess.run(command, check=True, capture_output=True, env=environment, text=True)
    runs = done.stdout.split()
    assert len(runs) == PROGRAMS
    assert len(set(runs)) == 1


def test_refused_result(open_tasks: OpenTasks, url: str) -> None:
    """A result that the database does not take fails its task by name, and others go on."""
    tasks = open_tasks(url, Odd={})
    tasks.store.create(RESULTS)
    with tasks.store.database.transaction() as connection:
        for statement in REFUSING[connection.dialect.name]:
            connection.execute(sa.text(statement))
    refused = tasks.submit("Odd", {"length": 400})
    taken = tasks.submit("Odd", {"length": 5})
    Worker(tasks).run(until_idle=True)
    assert tasks.get(taken).state == "succeeded"
    ended = tasks.get(refused)
    assert (ended.state, ended.attempt) == ("failed", 1)
    assert (ended.error or "").startswith("StoreRefused: the store at ")
    assert "too long" in (ended.error or "")


def test_read_only(
    open_tasks: OpenTasks, postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    """A worker keeps a result while the database is read-only, and writes it afterwards."""
    tasks, file = open_tasks(postgres_url, Improve={}), tmp_path / "go on"
    run = tasks.submit("Improve", {"file": str(file)})
    worker = Worker(tasks)
    until(lambda: tasks.get(run).phrase, worker.step)
    with read_only(postgres):
        file.touch()
        execution = worker._running[0]  # noqa: SLF001
        until(lambda: execution.has_ended and worker._failing, worker.step)  # noqa: SLF001
        with pytest.raises(StoreUnavailable, match="read-only"):
            tasks.submit("Improve", {})
        assert tasks.get(run).state == "running"
    until(lambda: tasks.get(run).has_ended, worker.step)
    assert (tasks.get(run).state, tasks.get(run).attempt) == ("succeeded", 1)


@contextmanager
def read_only(server: Postgres) -> Iterator[None]:
    """Let a server take only reads, and close all connections."""
    address = sa.make_url(server.url).set(drivername="postgresql+psycopg")
    off = {"options": "-c default_transaction_read_only=off"}
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT", connect_args=off)
    close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with engine.connect() as connection:

        def set_read_only(value: str) -> None:
            setting = f"ALTER DATABASE postgres SET default_transaction_read_only = {value}"
            connection.execute(sa.text(setting))
            connection.execute(sa.text(f"{close} AND usename = current_user"))

        set_read_only("on")
        try:
            yield
        finally:
            set_read_only("off")
    engine.dispose()


def test_refused_phrase(open_tasks: OpenTasks, postgres: Postgres) -> None:
    """A phrase that the database has no letters for does not make its worker look dead."""
    name = empty_database(postgres, "LATIN1")
    tasks = open_tasks(postgres.url.rpartition("/")[0] + f"/{name}", Count={}, Odd={})
    leases = Leases(tasks.store, tasks.jobs, "w")
    tasks.submit("Count", {"steps": 1})
    claim = leases.claim()
    assert claim is not None
    assert leases.beat({claim: Progress(0.5, "\N{SNOWMAN}")}) == (set(), set())
    assert leases.finish(claim, Failure("\N{SNOWMAN} is not in Latin-1"))
    ended = tasks.get(claim.id)
    assert ended.state == "failed"
    assert (ended.error or "").startswith("StoreRefused: ")


def empty_database(server: Postgres, encoding: str) -> str:
    """Create an empty database with an encoding; return its name."""
    name = f"in_{encoding.lower()}"
    engine = sa.create_engine(
        sa.make_url(server.url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        create = f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0"
        connection.execute(sa.text(create))
    engine.dispose()
    return name


def test_marked_by_two(open_tasks: OpenTasks, url: str) -> None:
    """Two workers that mark the same runs as announced, in any order, do not block each other."""
    tasks = open_tasks(url, Count={})
    runs = [tasks.cancel(tasks.submit("Count", {"steps": 1})) for _ in range(20)]
    outbox = Outbox(tasks.store.database, "w", clock=lambda: 2**50)
    assert {run.id for run in outbox.waiting()} == {run.id for run in runs}

    def mark(marked: list[Run]) -> None:
        for _ in range(50):
            outbox.sent(marked)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(mark, (runs, runs[::-1])))
    assert outbox.waiting() == []
