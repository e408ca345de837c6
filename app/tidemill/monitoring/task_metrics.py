"""Show Prometheus the long tasks of a database: what waits and runs, and what has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.registry import Collector

from tidemill.monitoring.families import counter, gauge
from tidemill.tasks.runs import ENDED
from tidemill.tasks.totals import Open, Total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from tidemill.tasks.totals import Summary

# Not `job`: Prometheus gives every metric a label of that name.
JOB = ("job_name",)
OUTCOME = (*JOB, "outcome")


class _Read(NamedTuple):
    """What was read, and when; and of each job the signs of life, and when they last changed."""

    at: float
    summary: Summary | None
    beats: Mapping[str, tuple[int, float]]


class TaskMetrics(Collector):
    """The numbers of the last summary that was read, and when. A collection reads nothing.

    Until the first summary there are no numbers: a counter that began at 0, and then had the
    database's total, would look like thousands of tasks that ended at once.
    """

    def __init__(
        self,
        jobs: Iterable[str],
        summarize: Callable[[], Summary],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the jobs that are shown even if they never ran, and what reads the database.

        `clock` returns seconds since 1970.
        """
        self._jobs = frozenset(jobs)
        self._summarize = summarize
        self._clock = clock
        # One value, which another thread may collect at any time.
        self._read = _Read(clock(), None, {})

    def read(self) -> None:
        """Read the summary, in one thread; if that fails, the last one stays.

        Raises:
            StoreUnavailable: The database does not answer.

        """
        summary = self._summarize()
        now = self._clock()
        self._read = _Read(now, summary, _changed(self._read.beats, summary, now))

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        at, summary, beats = self._read
        yield gauge(
            "tidemill_tasks_read_timestamp_seconds",
            "When the tasks were last read in the database; before, when the program started.",
            (),
            [((), at)],
        )
        if summary is not None:
            jobs = sorted({*self._jobs, *summary.open, *(job for job, _ in summary.ended)})
            yield from _open(jobs, summary)
            yield gauge(
                "tidemill_tasks_heartbeat_timestamp_seconds",
                "When a worker last showed a sign of life for a task that runs.",
                JOB,
                [((job,), beats[job][1]) for job in jobs if job in beats],
            )
            yield from _ended(jobs, summary)


def _changed(
    before: Mapping[str, tuple[int, float]], summary: Summary, now: float
) -> dict[str, tuple[int, float]]:
    """Return the signs of life of each job that has running tasks, and when they last changed.

    They are counted, and the time is taken here, because the clocks of workers may be wrong.
    """
    beats = {job: one.beats for job, one in summary.open.items() if one.running}
    return {
        job: before[job] if job in before and before[job][0] == count else (count, now)
        for job, count in beats.items()
    }


def _open(jobs: list[str], summary: Summary) -> Iterator[Metric]:
    found = [((job,), summary.open.get(job, Open())) for job in jobs]
    yield gauge(
        "tidemill_tasks_waiting",
        "Tasks that wait for a worker.",
        JOB,
        [(labels, one.waiting) for labels, one in found],
    )
    yield gauge(
        "tidemill_tasks_running",
        "Tasks that run.",
        JOB,
        [(labels, one.running) for labels, one in found],
    )
    # Absent if none waits: 0 would be a task that has waited since 1970.
    yield gauge(
        "tidemill_tasks_oldest_waiting_timestamp_seconds",
        "Since when the oldest of the tasks that wait has waited.",
        JOB,
        [(labels, one.oldest / 1000) for labels, one in found if one.oldest is not None],
    )


def _ended(jobs: list[str], summary: Summary) -> Iterator[Metric]:
    none = Total(0, 0)
    totals = [
        ((job, outcome), summary.ended.get((job, outcome), none))
        for job in jobs
        for outcome in ENDED
    ]
    yield counter(
        "tidemill_tasks_ended",
        "Tasks that ended: succeeded, failed or cancelled.",
        OUTCOME,
        [(labels, total.runs) for labels, total in totals],
    )
    yield counter(
        "tidemill_tasks_seconds",
        "How long the last attempts of these tasks ran.",
        OUTCOME,
        [(labels, total.seconds) for labels, total in totals],
    )
