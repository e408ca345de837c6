"""Find ended runs that were not announced yet, and mark those that were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from tidemill.store.catalogue import now_ms
from tidemill.tasks.runs import RUNS, SHOWN, run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidemill.store.database import Database
    from tidemill.tasks.runs import Run

AT_ONCE: Final = 500
# A worker announces the runs that it ended. It announces another's only after this time, in case
# that worker is gone.
OTHERS_MS: Final = 10_000


class Outbox:
    """The ended runs that one worker has to announce, the first to end first."""

    def __init__(
        self, database: Database, worker: str, *, clock: Callable[[], int] = now_ms
    ) -> None:
        """Take the worker's name; `clock` returns milliseconds since 1970."""
        self._database = database
        self._worker = worker
        self._clock = clock

    def waiting(self) -> list[Run]:
        """Return runs that have ended and were not announced."""
        whose = sa.or_(RUNS.c.worker == self._worker, RUNS.c.ended < self._clock() - OTHERS_MS)
        ended = RUNS.c.ended.is_not(None), RUNS.c.announced.is_(False)
        query = sa.select(*SHOWN).where(*ended, whose).order_by(RUNS.c.ended).limit(AT_ONCE)
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(query)]

    def sent(self, runs: Iterable[Run]) -> None:
        """Mark runs as announced, except those that were retried since."""
        # In one order: two workers that mark the same runs must not wait for each other.
        ordered = sorted(runs, key=lambda run: run.id)
        with self._database.transaction() as connection:
            for run in ordered:
                same = RUNS.c.id == run.id, RUNS.c.ended == run.ended
                connection.execute(sa.update(RUNS).where(*same).values(announced=True))
