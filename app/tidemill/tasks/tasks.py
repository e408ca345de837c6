"""Submit tasks, look at their runs, cancel and retry them, and fetch their results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from tidemill.errors import (
    CannotRetry,
    InvalidSelection,
    NoResult,
    NotEnded,
    UnknownJob,
    UnknownRun,
)
from tidemill.store.catalogue import now_ms
from tidemill.tasks.runs import (
    CANCELLED,
    FAILED,
    RESULTS,
    RUNNING,
    RUNS,
    SHOWN,
    STATES,
    SUCCEEDED,
    WAITING,
    create_runs,
    run_of,
)
from tidemill.tasks.submission import accept, encode
from tidemill.tasks.totals import Summary, count_end, summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tidemill.store.store import Store
    from tidemill.tasks.job import Job
    from tidemill.tasks.runs import Run

ID: Final = re.compile(r"[0-9a-f]{32}")
MAX_LISTED: Final = 1000


class Limits(NamedTuple):
    """How large a task's parameters and result may be, in bytes of JSON; how many may wait."""

    parameters: int = 2**20
    result: int = 16 * 2**20
    waiting: int = 100_000


class Latest(NamedTuple):
    """A result, as JSON, and whether it is the final one."""

    final: bool
    result: msgspec.Raw


class Tasks:
    """The tasks of a store's database. Threads may share it; workers run elsewhere."""

    def __init__(
        self,
        store: Store,
        jobs: Iterable[Job],
        limits: Limits = Limits(),  # noqa: B008 - immutable
        *,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """Use a store, and create the tables that do not exist; `clock` returns milliseconds.

        Raises:
            StoreUnavailable: The database cannot be reached.

        """
        self.store = store
        self.jobs = {job.name: job for job in jobs}
        self.limits = limits
        self._clock = clock
        self._database = store.database
        create_runs(self._database)
        store.create(RESULTS)

    def job(self, name: str) -> Job:
        """Return a job.

        Raises:
            UnknownJob: There is none of that name.

        """
        if name not in self.jobs:
            raise UnknownJob(name, sorted(self.jobs))
        return self.jobs[name]

    def submit(
        self, job: str, parameters: bytes | str | dict[str, Any], key: str | None = None
    ) -> str:
        """Accept a task, and return the id of its run: from then on no crash can lose it.

        `parameters` may be JSON. The same idempotency `key` returns the same run.

        Raises:
            UnknownJob, InvalidParameters, ParametersTooLarge: It is not accepted.
            InvalidIdempotencyKey, KeyReused: Nor is it with this key.
            TooManyTasks: Nor is it now.
            StoreUnavailable, StoreFull: It may or may not be; the same key finds out.

        """
        described = self.job(job)
        text = encode(job, parameters, self.limits.parameters)
        described.parse(text)
        most = self.limits.waiting
        return accept(self._database, job, text, key, self._clock(), most=most)

    def get(self, run: str) -> Run:
        """Return a run as it is now.

        Raises:
            UnknownRun: There is none with that id.

        """
        with self._database.reading() as connection:
            found = connection.execute(sa.select(*SHOWN).where(RUNS.c.id == _id(run))).first()
        if found is None:
            raise UnknownRun(run)
        return run_of(found)

    def list(
        self,
        job: str | Collection[str] | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Return the latest runs, the newest first: of a job, of several, or of all.

        Raises:
            UnknownJob, InvalidSelection: There is no such job or state.

        """
        if state is not None and state not in STATES:
            raise InvalidSelection(state[:50], "a state", f"Write one of {', '.join(STATES)}.")
        query = sa.select(*SHOWN).order_by(RUNS.c.number.desc()).limit(min(limit, MAX_LISTED))
        if job is not None:
            names = [job] if isinstance(job, str) else job
            query = query.where(RUNS.c.job.in_([self.job(name).name for name in names]))
        if state is not None:
            query = query.where(RUNS.c.state == state)
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(query)]

    def parameters(self, run: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the parameters that a run was submitted with."""
        with self._database.reading() as connection:
            query = sa.select(RUNS.c.parameters).where(RUNS.c.id == _id(run))
            text = connection.execute(query).scalar()
        if text is None:
            raise UnknownRun(run)
        return msgspec.json.decode(text)

    def result(self, run: str) -> msgspec.Raw:
        """Return the result of a run, as JSON.

        Raises:
            UnknownRun: There is no such run.
            NotEnded: It has not ended yet.
            NoResult: It failed, or was cancelled.

        """
        found = self.get(run)
        if not found.has_ended:
            raise NotEnded(run, found.state)
        rows = self.store.get(RESULTS.name, [run]).rows if found.state == SUCCEEDED else [None]
        if rows[0] is None:
            raise NoResult(run, found.state, found.error, found.hint)
        return msgspec.json.decode(rows[0].data, type=dict[str, msgspec.Raw])["result"]

    def latest(self, run: str) -> Latest:
        """Return the result of a run; until it succeeds, the best that its job has reported.

        Raises:
            UnknownRun: There is no such run.
            NotEnded, NoResult: There is none yet, or none at all.

        """
        with self._database.reading() as connection:
            query = sa.select(RUNS.c.interim).where(RUNS.c.id == _id(run))
            interim = connection.execute(query).scalar()
        if interim is None:
            return Latest(final=True, result=self.result(run))
        return Latest(final=False, result=msgspec.Raw(interim.encode()))

    def summary(self) -> Summary:
        """Return how many runs of each job wait and run, and how many have ended so far."""
        return summarize(self._database)

    def cancel(self, run: str) -> Run:
        """Cancel a run: it will not succeed any more, unless it has. Its process is ended soon."""
        waits = RUNS.c.state == WAITING
        ended = sa.update(RUNS).values(
            cancelling=True,
            state=sa.case((waits, CANCELLED), else_=RUNS.c.state),
            ended=sa.case((waits, self._clock()), else_=None),
        )
        with self._database.transaction() as connection:
            # One statement: a worker may claim it, or give it back, at the same time.
            open_ = RUNS.c.id == _id(run), RUNS.c.state.in_((WAITING, RUNNING))
            changed = ended.where(*open_).returning(RUNS.c.job, RUNS.c.state)
            for job, state in connection.execute(changed).all():
                if state == CANCELLED:
                    count_end(connection, job, state, 0)
        return self.get(run)

    def retry(self, run: str) -> Run:
        """Let a run that failed or was cancelled wait again, with all of its attempts.

        Raises:
            UnknownRun, CannotRetry: It cannot be retried.

        """
        again = sa.update(RUNS).where(RUNS.c.id == _id(run), RUNS.c.state.in_((FAILED, CANCELLED)))
        fresh = {
            "state": WAITING,
            "cancelling": False,
            "forgiven": RUNS.c.attempt,
            "queued": self._clock(),
            "announced": False,
        }
        empty = {"progress": 0, "phrase": "", "interim": None}
        empty |= dict.fromkeys(("error", "hint", "worker", "started", "ended"))
        with self._database.transaction() as connection:
            changed = connection.execute(again.values(**fresh, **empty)).rowcount
        found = self.get(run)
        if not changed:
            raise CannotRetry(run, found.state)
        return found


def _id(run: str) -> str:
    if not ID.fullmatch(run):
        raise UnknownRun(run)
    return run
