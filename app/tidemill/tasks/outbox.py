"""Find the runs whose end was not announced yet, and take note of those that were."""

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
# A worker announces the runs that it ended; those of others only if they do not, after so long.
OTHERS_MS: Final = 10_000


class Outbox:
    """The ends of runs that one worker has to announce, in the order of their times."""

    def __init__(
        self, database: Database, worker: str, *, clock: Callable[[], int] = now_ms
    ) -> None:
        """Read a database for the worker of this name; `clock` returns milliseconds."""
        self._database = database
        self._worker = worker
        self._clock = clock

    def waiting(self) -> list[Run]:
        """Return runs that have ended, and were not announced."""
        whose = sa.or_(RUNS.c.worker == self._worker, RUNS.c.ended < self._clock() - OTHERS_MS)
        ended = RUNS.c.ended.is_not(None), RUNS.c.announced.is_(False)
        # By number, too, so that no two workers that take note of the same runs wait in a circle.
        order = RUNS.c.ended, RUNS.c.number
        query = sa.select(*SHOWN).where(*ended, whose).order_by(*order).limit(AT_ONCE)
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(query)]

    def sent(self, runs: Iterable[Run]) -> None:
        """Take note that the ends of runs were announced; one may have been retried since."""
        with self._database.transaction() as connection:
            for run in runs:
                same = RUNS.c.id == run.id, RUNS.c.ended == run.ended
                connection.execute(sa.update(RUNS).where(*same).values(announced=True))
