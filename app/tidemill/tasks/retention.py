"""Forget old runs, and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from tidemill.store.catalogue import now_ms
from tidemill.tasks.results import drop_results
from tidemill.tasks.runs import RESULTS, RUNS

if TYPE_CHECKING:
    from tidemill.store.database import Database
    from tidemill.store.store import Store

AT_ONCE: Final = 500


def shared_now_ms(database: Database) -> int:
    """Return the time in milliseconds since 1970, for all workers by the clock of the database."""
    if not database.postgres:
        return now_ms()  # a file of this machine
    with database.reading() as connection:
        seconds = sa.extract("epoch", sa.func.clock_timestamp())
        return int(connection.execute(sa.select(seconds * 1000)).scalar_one())


def drop_old(store: Store, before: int) -> int:
    """Forget some runs that ended before a time, and their results; return how many."""
    store.create(RESULTS)  # somebody may have dropped it
    with store.database.transaction() as connection:
        # Locked, because one may be retried meanwhile; another worker drops others.
        query = sa.select(RUNS.c.id).where(RUNS.c.ended < before).limit(AT_ONCE)
        old = connection.scalars(query.with_for_update(skip_locked=True)).all()
        if old:
            drop_results(connection, old)
            connection.execute(sa.delete(RUNS).where(RUNS.c.id.in_(old)))
    return len(old)
