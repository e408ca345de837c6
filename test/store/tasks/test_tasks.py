"""Tasks are accepted, refused, listed, and claimed fast."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import sqlalchemy as sa

from tidemill.errors import (
    InvalidIdempotencyKey,
    InvalidParameters,
    KeyReused,
    ParametersTooLarge,
    StoreUnavailable,
    TidemillError,
    TooManyTasks,
    UnknownJob,
    UnknownRun,
)
from tidemill.store import engines
from tidemill.store.database import Database
from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.leases import CLAIM_LOCK, Leases
from tidemill.tasks.retention import drop_old
from tidemill.tasks.runs import RUNS
from tidemill.tasks.tasks import Limits, Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.tasks.leases import Claim

    OpenTasks = Callable[..., Tasks]


Parameters: TypeAlias = "bytes | str | dict[str, Any]"


@pytest.fixture
def tasks(open_tasks: OpenTasks, url: str) -> Tasks:
    """Tasks of one job."""
    return open_tasks(url, Count={})


class TestSubmit:
    """A task is accepted or refused."""

    @pytest.mark.parametrize(
        ("parameters", "error"),
        [
            ({}, InvalidParameters),
            ({"steps": "3"}, InvalidParameters),
            ({"steps": 3, "second": 1}, InvalidParameters),
            ({"steps": None}, InvalidParameters),
            ("[1]", InvalidParameters),
            ("{", InvalidParameters),
            (b"\xff", InvalidParameters),
            ("[" * 5000, InvalidParameters),
            ({"steps": 1, "file": "\ud800"}, InvalidParameters),
            ({"steps": 1, "file": "x" * 10_000}, ParametersTooLarge),
        ],
    )
    def test_refused(
        self, tasks: Tasks, parameters: Parameters, error: type[TidemillError]
    ) -> None:
        """Parameters that violate the schema, or are too large, leave nothing behind."""
        with pytest.raises(error):
            tasks.submit("Count", parameters)
        assert tasks.list() == []

    @pytest.mark.parametrize("key", ["", "x" * 201, "a\0", "\ud800"])
    def test_bad_key(self, tasks: Tasks, key: str) -> None:
        """A key that a database could not hold is refused."""
        with pytest.raises(InvalidIdempotencyKey, match="1 to 200 printable"):
            tasks.submit("Count", {"steps": 1}, key)

    def test_unknown(self, tasks: Tasks) -> None:
        """An unknown job or run is an error that says so, even with odd letters."""
        with pytest.raises(UnknownJob):
            tasks.submit("Other", {})
        for call in (tasks.get, tasks.cancel, tasks.retry, tasks.result, tasks.parameters):
            for run in ("0" * 32, "\0", "' OR 1=1"):
                with pytest.raises(UnknownRun):
                    call(run)

    def test_same_key_at_once(self, tasks: Tasks) -> None:
        """Ten threads that submit with one key at the same time get one run."""
        barrier, runs = Barrier(10), []

        def submit() -> None:
            barrier.wait()
            runs.append(tasks.submit("Count", {"steps": 1}, "once"))

        threads = [Thread(target=submit) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(runs) == 10
        assert len(set(runs)) == 1
        assert tasks.submit("Count", '{ "steps" : 1 }', "once") == runs[0]
        with pytest.raises(KeyReused):
            tasks.submit("Count", {"steps": 2}, "once")

    def test_waiting(self, url: str) -> None:
        """At most so many tasks of a job wait; other jobs, and the same key, do not suffer."""
        jobs = [Job(name, "long_jobs:Odd") for name in ("one", "other")]
        with Store(url) as store:
            tasks = Tasks(store, jobs, Limits(waiting=3))
            first = tasks.submit("one", {}, "key")
            for job in ("other", "one", "other", "other", "one"):
                tasks.submit(job, {})
            for job in ("one", "other"):
                with pytest.raises(TooManyTasks, match=f"3 tasks of the job '{job}' wait"):
                    tasks.submit(job, {})
            assert tasks.submit("one", {}, "key") == first
            assert len(tasks.list()) == 6
            tasks.cancel(first)
            tasks.submit("one", {})
            with pytest.raises(TooManyTasks):
                tasks.submit("one", {})


class TestClaim:
    """Workers share what waits."""

    def test_many(self, tasks: Tasks) -> None:
        """Eight workers claim forty runs, and none twice."""
        for _ in range(40):
            tasks.submit("Count", {"steps": 1})
        claimed: list[str] = []

        def work(name: str) -> None:
            leases = Leases(tasks.store, tasks.jobs, name)
            while claim := leases.claim():
                claimed.append(claim.id)

        threads = [Thread(target=work, args=(f"w{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(claimed) == sorted(run.id for run in tasks.list())

    def test_ten_thousand(self, tasks: Tasks) -> None:
        """A claim among ten thousand waiting runs costs about as much as among few."""
        leases = Leases(tasks.store, tasks.jobs, "w")

        def claims() -> float:
            began = time.thread_time()
            for _ in range(20):
                assert leases.claim()
            return time.thread_time() - began

        for _ in range(40):
            tasks.submit("Count", {"steps": 1})
        few = min(claims(), claims())
        _fill(tasks, 10_000)
        assert min(claims() for _ in range(3)) < 5 * few

    def test_full_job(self, open_tasks: OpenTasks, url: str) -> None:
        """A job at its limit does not hold up others behind it."""
        tasks = open_tasks(url, Count={"concurrency": 1}, Fail={})
        leases = Leases(tasks.store, tasks.jobs, "w")
        first, second = (tasks.submit("Count", {"steps": 1}) for _ in range(2))
        other = tasks.submit("Fail", {})
        claims = [leases.claim() for _ in range(3)]
        assert [claim and claim.id for claim in claims] == [first, other, None]
        assert claims[0] is not None
        leases.finish(claims[0], b"1")
        third = leases.claim()
        assert third is not None
        assert third.id == second


def test_frozen_worker(
    open_tasks: OpenTasks, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that freezes while it claims a run, or is cut off, stops no other for long."""
    with monkeypatch.context() as patched:
        patched.setattr(engines, "IDLE_TIMES", 0.02)
        frozen = Database(postgres_url, timeout=60)
    tasks = open_tasks(postgres_url, Count={})
    leases = Leases(tasks.store, tasks.jobs, "w")
    run = tasks.submit("Count", {"steps": 1})
    claims: list[Claim | None] = []
    claiming = Thread(target=lambda: claims.append(leases.claim()))
    with suppress(StoreUnavailable), frozen.transaction() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CLAIM_LOCK)))
        claiming.start()
        claiming.join(200)
        claimed = [claim and claim.id for claim in claims]
    claiming.join()
    frozen.close()
    assert claimed == [run]


class TestRetention:
    """Old runs go, with their results."""

    def test_old(self, tasks: Tasks) -> None:
        """Only runs that ended before the time are forgotten, and their keys are free."""
        leases = Leases(tasks.store, tasks.jobs, "w", clock=lambda: 1000)
        old = tasks.submit("Count", {"steps": 1}, "key")
        claim = leases.claim()
        assert claim is not None
        leases.finish(claim, b"{}")
        waiting = tasks.submit("Count", {"steps": 1})
        assert drop_old(tasks.store, 1000) == 0
        assert drop_old(tasks.store, 1001) == 1
        assert [run.id for run in tasks.list()] == [waiting]
        assert tasks.store.get("task_results", [old]).rows == [None]
        assert tasks.submit("Count", {"steps": 2}, "key") != old

    def test_retried(self, open_tasks: OpenTasks, postgres_url: str) -> None:
        """A run that is retried at the same moment is not forgotten."""
        tasks = open_tasks(postgres_url, Count={})
        run = tasks.submit("Count", {"steps": 1})
        tasks.cancel(run)
        again = sa.update(RUNS).where(RUNS.c.id == run).values(state="waiting", ended=None)
        dropping = Thread(target=drop_old, args=(tasks.store, 2**60))
        with tasks.store.database.transaction() as connection:
            connection.execute(again)
            dropping.start()
            dropping.join(1)  # for ever, if it waits for this transaction
        dropping.join()
        assert tasks.get(run).state == "waiting"

    def test_dropped_results(self, tasks: Tasks) -> None:
        """A result is written even if somebody has dropped the table meanwhile."""
        run = tasks.submit("Count", {"steps": 1})
        leases = Leases(tasks.store, tasks.jobs, "w")
        claim = leases.claim()
        assert claim is not None
        tasks.store.drop("task_results")
        assert leases.finish(claim, b'{"steps":1}')
        assert bytes(tasks.result(run)) == b'{"steps":1}'


def _fill(tasks: Tasks, count: int) -> None:
    """Insert runs that wait, in one transaction."""
    row = {"job": "Count", "parameters": '{"steps":1}', "state": "waiting"}
    row |= {"attempt": 0, "forgiven": 0, "beat": 0, "cancelling": False, "progress": 0}  # type: ignore[dict-item]
    row |= {"phrase": "", "submitted": 0, "queued": 0, "announced": False}  # type: ignore[dict-item]
    with tasks.store.database.transaction() as connection:
        connection.execute(RUNS.insert(), [{**row, "id": f"{n:032x}"} for n in range(count)])
