"""Count the runs that have ended, in the transactions that end them.

Runs are forgotten one day; the totals never decrease, as Prometheus wants it of a counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from tidemill.store.catalogue import insert
from tidemill.tasks.runs import METADATA, RUNNING, RUNS, WAITING

if TYPE_CHECKING:
    from tidemill.store.database import Database

TOTALS = sa.Table(
    "tidemill_task_totals",
    METADATA,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("outcome", sa.Text, primary_key=True),  # a state
    sa.Column("runs", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)


class Open(NamedTuple):
    """The runs of a job that have not ended.

    Attributes:
        oldest: Since when the first of those that wait has waited, in milliseconds since 1970.
        beats: The signs of life of those that run: a number that changes as long as one is alive.

    """

    waiting: int = 0
    running: int = 0
    oldest: int | None = None
    beats: int = 0


class Total(NamedTuple):
    """How many runs have ended, and for how long their last attempts ran together."""

    runs: int
    seconds: float


class Summary(NamedTuple):
    """What there is to know of all runs; `ended` is by job and state."""

    open: dict[str, Open]
    ended: dict[tuple[str, str], Total]


def count_end(connection: sa.Connection, job: str, outcome: str, seconds: float) -> None:
    """Count a run that ends in this transaction."""
    new = insert(connection, TOTALS).values(job=job, outcome=outcome, runs=1, seconds=seconds)
    added = {
        "runs": TOTALS.c.runs + new.excluded.runs,
        "seconds": TOTALS.c.seconds + new.excluded.seconds,
    }
    connection.execute(new.on_conflict_do_update(index_elements=["job", "outcome"], set_=added))


def summarize(database: Database) -> Summary:
    """Return the summary of a database."""
    values = sa.func.count(), sa.func.min(RUNS.c.queued), sa.func.sum(RUNS.c.beat)
    counted = sa.select(RUNS.c.job, RUNS.c.state, *values)
    still = counted.where(RUNS.c.state.in_((WAITING, RUNNING))).group_by(RUNS.c.job, RUNS.c.state)
    found: dict[str, Open] = {}
    with database.reading() as connection:
        for job, state, count, queued, beats in connection.execute(still):
            before = found.get(job, Open())
            if state == WAITING:
                found[job] = before._replace(waiting=count, oldest=queued)
            else:
                found[job] = before._replace(running=count, beats=int(beats))
        rows = connection.execute(sa.select(TOTALS))
        ended = {(job, outcome): Total(runs, seconds) for job, outcome, runs, seconds in rows}
    return Summary(found, ended)
