"""Claim runs, show signs of life, and end runs: what a worker writes, fenced by the attempt.

Each claim gives a run a new attempt. Whatever a worker writes counts only if the run is still
running in that attempt, so a worker that was taken for dead changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from tidemill.errors import StoreRefused, TaskCrashed
from tidemill.store.catalogue import now_ms
from tidemill.store.database import Conflict
from tidemill.tasks.end import columns, end
from tidemill.tasks.outcome import Failure, Progress
from tidemill.tasks.runs import CANCELLED, RESULTS, RUNNING, RUNS, WAITING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tidemill.store.store import Store
    from tidemill.tasks.job import Job
    from tidemill.tasks.outcome import Outcome
    from tidemill.tasks.silence import Sign

# Any number that no other program locks: claims come one after another, so that limits hold.
CLAIM_LOCK: Final = 7_214_990_319


class Claim(NamedTuple):
    """A run that this worker may execute, as long as nobody else has a later attempt."""

    id: str
    job: str
    attempt: int
    parameters: str
    queued: int

    @property
    def key(self) -> str:
        """A name for what was submitted: the same in all attempts, but another after a retry."""
        return f"{self.id}-{self.queued}"


class Leases:
    """The runs that workers share. An object belongs to one worker."""

    def __init__(
        self,
        store: Store,
        jobs: Mapping[str, Job],
        worker: str,
        *,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """Serve some jobs; runs of others are left to other workers."""
        self._store = store
        self._database = store.database
        self._jobs = jobs
        self._worker = worker
        self._clock = clock

    def claim(self) -> Claim | None:
        """Return the run that has waited for longest, of a job that has not too many running."""
        if self.is_idle(WAITING):
            return None
        names = ("number", "id", "job", "attempt", "parameters", "queued")
        columns = [RUNS.c[name] for name in names]
        with self._database.transaction() as connection:
            if self._database.postgres:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CLAIM_LOCK)))
            first = [
                found
                for job in self._open_jobs(connection)
                # One small read of the index for each job, however many runs wait.
                if (found := connection.execute(_waiting(columns, job)).first())
            ]
            if not first:
                return None
            number, run, job, attempt, parameters, queued = min(first)
            claimed = sa.update(RUNS).where(RUNS.c.number == number, RUNS.c.state == WAITING)
            taken = claimed.values(
                state=RUNNING,
                attempt=attempt + 1,
                beat=RUNS.c.beat + 1,
                worker=self._worker,
                started=self._clock(),
                progress=0,
                phrase="",
            )
            # It may have been cancelled meanwhile; the next claim finds another.
            if not connection.execute(taken).rowcount:
                return None
        return Claim(run, job, attempt + 1, parameters, queued)

    def running(self) -> dict[str, Sign]:
        """Return the latest sign of life of each running run.

        Wait for the lock of SQLite's writers, as those do whose signs are looked for.
        """
        query = sa.select(RUNS.c.id, RUNS.c.attempt, RUNS.c.beat)
        mine = RUNS.c.state == RUNNING, RUNS.c.job.in_(list(self._jobs))
        with self._database.transaction() as connection:
            found = connection.execute(query.where(*mine))
            return {run: (attempt, beat) for run, attempt, beat in found}

    def beat(self, alive: Mapping[Claim, Progress]) -> tuple[set[Claim], set[Claim]]:
        """Show that runs are alive, with their progress; return which are lost, and cancelled."""
        try:
            return self._beat(alive)
        except StoreRefused:  # a progress that the database does not take is no reason to look dead
            return self._beat(dict.fromkeys(alive, Progress()))

    def _beat(self, alive: Mapping[Claim, Progress]) -> tuple[set[Claim], set[Claim]]:
        lost, cancelled = set(), set()
        with self._database.transaction() as connection:
            for claim in sorted(alive):  # in one order, so that no two workers wait in a circle
                held = sa.update(RUNS).where(*_held(claim.id, claim.attempt))
                shown = held.values(beat=RUNS.c.beat + 1, **columns(alive[claim]))
                cancelling = connection.execute(shown.returning(RUNS.c.cancelling)).scalar()
                if cancelling is None:
                    lost.add(claim)
                elif cancelling:
                    cancelled.add(claim)
        return lost, cancelled

    def finish(self, claim: Claim, outcome: Outcome, progress: Progress | None = None) -> bool:
        """End a run, unless somebody else has taken it over; return whether it was ended.

        If it was cancelled, it ends so, whatever the outcome. `progress` is the last. An outcome
        that the database does not take would hold up the worker for ever, so it fails instead.
        """
        self._store.create(RESULTS)  # somebody may have dropped it
        try:
            return self._finish(claim, outcome, progress)
        except Conflict as error:  # a constraint or a trigger that somebody has added
            refused = StoreRefused(self._database.url, error)
        except StoreRefused as error:
            refused = error
        # In ASCII, which each database takes.
        plain = [text.encode("ascii", "replace").decode() for text in Failure.of(refused)]
        return self._finish(claim, Failure(*plain), None)

    def _finish(self, claim: Claim, outcome: Outcome, progress: Progress | None) -> bool:
        with self._database.transaction() as connection:
            held = _lock(connection, claim.id, claim.attempt)
            if held is None:
                return False
            last = CANCELLED if held.cancelling else outcome
            end(connection, held, last, self._clock(), progress)
        return True

    def give_back(
        self,
        run: str,
        sign: tuple[int, int | None],
        why: str,
        *,
        forgive: bool = False,
    ) -> bool:
        """Let a run wait again whose attempt has ended without an outcome; return whether it does.

        After too many attempts it fails instead; `forgive` does not count this one. `sign` is the
        attempt, and the last sign of life of a run that another worker has lost.
        """
        attempt, beat = sign
        with self._database.transaction() as connection:
            held = _lock(connection, run, attempt)
            if held is None or beat not in {None, held.beat}:
                return False
            tried = attempt - held.forgiven
            if held.cancelling:
                end(connection, held, CANCELLED, self._clock())
            elif not forgive and tried >= self._jobs[held.job].attempts:
                failure = Failure.of(TaskCrashed(tried, why))
                end(connection, held, failure, self._clock())
            else:
                free = {"state": WAITING, "worker": None, "started": None}
                free["forgiven"] = held.forgiven + forgive
                connection.execute(sa.update(RUNS).where(RUNS.c.id == run).values(free))
        return True

    def is_idle(self, *states: str) -> bool:
        """Return whether no run waits or runs, without a lock, which would disturb writers."""
        open_ = RUNS.c.state.in_(states or (WAITING, RUNNING)), RUNS.c.job.in_(list(self._jobs))
        with self._database.reading() as connection:
            return (
                connection.execute(sa.select(RUNS.c.number).where(*open_).limit(1)).first() is None
            )

    def _open_jobs(self, connection: sa.Connection) -> Iterable[str]:
        """Return the jobs that may have another run."""
        counted = sa.select(RUNS.c.job, sa.func.count()).where(RUNS.c.state == RUNNING)
        grouped = connection.execute(counted.group_by(RUNS.c.job))
        running: dict[str, int] = {job: count for job, count in grouped}  # noqa: C416 - rows
        return [
            name
            for name, job in self._jobs.items()
            if job.concurrency is None or running.get(name, 0) < job.concurrency
        ]


def _waiting(columns: Iterable[sa.Column[Any]], job: str) -> sa.Select[Any]:
    query = sa.select(*columns).where(RUNS.c.state == WAITING, RUNS.c.job == job)
    return query.order_by(RUNS.c.number).limit(1)


def _held(run: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that select a run that is still running in this attempt."""
    return RUNS.c.id == run, RUNS.c.attempt == attempt, RUNS.c.state == RUNNING


def _lock(connection: sa.Connection, run: str, attempt: int) -> sa.Row[Any] | None:
    query = sa.select(RUNS).where(*_held(run, attempt)).with_for_update()
    return connection.execute(query).first()
