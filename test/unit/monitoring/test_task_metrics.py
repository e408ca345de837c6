"""The metrics of long tasks show what a real database holds, and stay when it is away."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

import pytest
import requests
from clock import Clock
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tidemill.bootstrap.task_metrics import serve_tasks, show_tasks
from tidemill.errors import StoreUnavailable
from tidemill.monitoring.task_metrics import TaskMetrics
from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.leases import Leases
from tidemill.tasks.outcome import Failure, Progress
from tidemill.tasks.retention import drop_old
from tidemill.tasks.tasks import Tasks
from tidemill.tasks.totals import Summary
from tidemill.tasks.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidemill.tasks.leases import Claim

WAIT_S = 120.0


class Milliseconds(Clock):
    """A clock of the database's times."""

    def __call__(self) -> int:
        """Return the time in milliseconds."""
        return int(self.now * 1000)


@pytest.fixture
def clock() -> Milliseconds:
    """The time at which tasks are submitted and run."""
    return Milliseconds()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The database's file."""
    return tmp_path / "tasks.db"


@pytest.fixture
def tasks(file: Path, clock: Milliseconds) -> Iterator[Tasks]:
    """Two jobs, in an empty database."""
    with Store(f"sqlite:///{file}") as store:
        jobs = [Job(name, f"long_jobs:{name}") for name in ("Count", "Fail")]
        yield Tasks(store, jobs, clock=clock)


@pytest.fixture
def claim(tasks: Tasks, clock: Milliseconds) -> Callable[[], tuple[Leases, Claim]]:
    """Return what claims a run, as a worker does."""

    def claimed() -> tuple[Leases, Claim]:
        leases = Leases(tasks.store, tasks.jobs, "w", clock=clock)
        claim = leases.claim()
        assert claim is not None
        return leases, claim

    return claimed


def collected(metrics: TaskMetrics) -> CollectorRegistry:
    """Return a registry with the metrics, to look at their values."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry


def shown(metrics: TaskMetrics, name: str, job: str = "Count", **labels: str) -> float | None:
    """Return a value of the metrics of a job, after the database was read."""
    metrics.read()
    labels = {"job_name": job, **labels}
    return collected(metrics).get_sample_value(f"tidemill_tasks_{name}", labels)


class TestValues:
    """The numbers are those of the database."""

    def test_before(self) -> None:
        """Before the database is read, nothing is said about tasks."""
        registry = collected(TaskMetrics(["Count"], lambda: Summary({}, {}), clock=Clock(7)))
        (only,) = registry.collect()
        assert [(each.name, each.value) for each in only.samples] == [
            ("tidemill_tasks_read_timestamp_seconds", 7)
        ]

    def test_zeros(self, tasks: Tasks) -> None:
        """Jobs that never ran have zeros, and no task of theirs waits for longest."""
        metrics = TaskMetrics(tasks.jobs, tasks.summary)
        for job in tasks.jobs:
            assert shown(metrics, "waiting", job) == shown(metrics, "running", job) == 0
            assert shown(metrics, "oldest_waiting_timestamp_seconds", job) is None
            for outcome in ("succeeded", "failed", "cancelled"):
                for name in ("ended_total", "seconds_total"):
                    assert shown(metrics, name, job, outcome=outcome) == 0

    def test_open(
        self, tasks: Tasks, clock: Milliseconds, claim: Callable[[], tuple[Leases, Claim]]
    ) -> None:
        """Tasks wait, then run; the oldest of those that wait is the next."""
        metrics = TaskMetrics(tasks.jobs, tasks.summary)
        for now in (1000.5, 2000):
            clock.now = now
            tasks.submit("Count", {"steps": 1})
        assert shown(metrics, "waiting") == 2
        assert shown(metrics, "oldest_waiting_timestamp_seconds") == 1000.5
        claim()
        assert (shown(metrics, "waiting"), shown(metrics, "running")) == (1, 1)
        assert shown(metrics, "oldest_waiting_timestamp_seconds") == 2000
        assert shown(metrics, "waiting", "Fail") == 0

    def test_ended(
        self, tasks: Tasks, clock: Milliseconds, claim: Callable[[], tuple[Leases, Claim]]
    ) -> None:
        """Ends count by outcome, with their seconds, also when the runs are forgotten."""
        metrics = TaskMetrics(tasks.jobs, tasks.summary)
        for became in (b"1", b"2", Failure("ValueError: no", "")):
            tasks.submit("Count", {"steps": 1})
            leases, run = claim()
            clock.now += 2.5
            leases.finish(run, became)
        tasks.cancel(tasks.submit("Count", {"steps": 1}))
        for outcome, runs in (("succeeded", 2), ("failed", 1), ("cancelled", 1)):
            assert shown(metrics, "ended_total", outcome=outcome) == runs
        assert shown(metrics, "seconds_total", outcome="succeeded") == 5
        assert shown(metrics, "seconds_total", outcome="failed") == 2.5
        assert drop_old(tasks.store, clock() + 1) == 4
        assert shown(metrics, "ended_total", outcome="succeeded") == 2

    def test_alive(
        self, tasks: Tasks, claim: Callable[[], tuple[Leases, Claim]], clock: Milliseconds
    ) -> None:
        """A running task is seen alive when its worker shows signs of it, and not any more."""
        metrics = TaskMetrics(tasks.jobs, tasks.summary, clock=lambda: clock.now)
        tasks.submit("Count", {"steps": 1})
        assert shown(metrics, "heartbeat_timestamp_seconds") is None
        leases, run = claim()
        for now, beats, seen in ((2000, True, 2000), (2005, True, 2005), (2010, False, 2005)):
            clock.now = now
            if beats:
                leases.beat({run: Progress(0.5, "half")})
            assert shown(metrics, "heartbeat_timestamp_seconds") == seen
        leases.finish(run, b"1")
        assert shown(metrics, "heartbeat_timestamp_seconds") is None

    def test_fails(self, tasks: Tasks) -> None:
        """A read that fails changes neither the numbers nor their time."""
        summaries = iter([tasks.summary()])

        def summarize() -> Summary:
            for summary in summaries:
                return summary
            raise StoreUnavailable("sqlite:///tasks.db", "gone")

        metrics = TaskMetrics(tasks.jobs, summarize, clock=Clock(7, step=1))
        metrics.read()
        before = generate_latest(collected(metrics))
        assert b"tidemill_tasks_read_timestamp_seconds 8.0" in before
        with pytest.raises(StoreUnavailable):
            metrics.read()
        assert generate_latest(collected(metrics)) == before

    def test_other_jobs(self, tasks: Tasks, claim: Callable[[], tuple[Leases, Claim]]) -> None:
        """Jobs that only other programs know are shown as soon as the database has them."""
        metrics = TaskMetrics(["Mine"], tasks.summary)
        assert shown(metrics, "waiting") is None
        tasks.submit("Count", {"steps": 1})
        assert (shown(metrics, "waiting"), shown(metrics, "waiting", "Mine")) == (1, 0)
        leases, run = claim()
        leases.finish(run, b"1")
        assert (shown(metrics, "waiting"), shown(metrics, "ended_total", outcome="succeeded")) == (
            0,
            1,
        )


class TestPage:
    """A worker's page never waits for the database."""

    def test_away(self, tasks: Tasks, file: Path) -> None:
        """Numbers change as tasks run, stay while the database is away, and change again."""
        run = tasks.submit("Count", {"steps": 2, "seconds": 0})
        with serve_tasks("127.0.0.1", 0, tasks, seconds=0.05) as (host, port):

            def read(name: str, **labels: str) -> float | None:
                page = requests.get(f"http://{host}:{port}/metrics", timeout=WAIT_S).text
                for family in text_string_to_metric_families(page):
                    for sample in family.samples:
                        if (sample.name, sample.labels) == (f"tidemill_tasks_{name}", labels):
                            return sample.value
                return None

            def until(expected: float, name: str, **labels: str) -> None:
                end = time.monotonic() + WAIT_S
                while read(name, **labels) != expected:
                    assert time.monotonic() < end
                    time.sleep(0.01)

            until(1, "waiting", job_name="Count")
            Worker(tasks).run(until_idle=True)
            assert tasks.get(run).state == "succeeded"
            done = {"job_name": "Count", "outcome": "succeeded"}
            until(1, "ended_total", **done)
            until(0, "waiting", job_name="Count")

            hidden = file.rename(file.with_name("hidden"))
            while not file.is_dir():  # SQLite can open no file there
                file.unlink(missing_ok=True)  # which a read has just made
                with suppress(FileExistsError):
                    file.mkdir()
            tasks.store.close()  # connections that were open
            with pytest.raises(StoreUnavailable):
                tasks.summary()
            at = read("read_timestamp_seconds")
            assert at is not None
            assert read("ended_total", **done) == 1

            file.rmdir()
            hidden.rename(file)
            tasks.submit("Fail", {})
            until(1, "waiting", job_name="Fail")
            again = read("read_timestamp_seconds")
            assert again is not None
            assert again > at

    def test_hangs(self) -> None:
        """A read that hangs holds up no scrape."""
        reads, go_on = Event(), Event()

        def summarize() -> Summary:
            reads.set()
            assert go_on.wait(WAIT_S)
            return Summary({}, {})

        registry = CollectorRegistry()
        with show_tasks(["Count"], summarize, registry):
            assert reads.wait(WAIT_S)
            assert b"tidemill_tasks_read_timestamp_seconds" in generate_latest(registry)
            go_on.set()
