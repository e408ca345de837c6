"""Describe a run of a task, and the table of the database that holds all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import msgspec
import sqlalchemy as sa

from tidemill.store.catalogue import CREATION_LOCK
from tidemill.store.table import Table
from tidemill.units import moment

if TYPE_CHECKING:
    from tidemill.store.database import Database

State: TypeAlias = Literal["waiting", "running", "succeeded", "failed", "cancelled"]
STATES: Final = get_args(State)
WAITING, RUNNING, SUCCEEDED, FAILED, CANCELLED = STATES
ENDED: Final = (SUCCEEDED, FAILED, CANCELLED)

RESULTS: Final = Table("task_results", ("run",), {"job": "text", "result": "json"})

METADATA: Final = sa.MetaData()
RUNS: Final = sa.Table(
    "tidemill_runs",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("key", sa.Text),  # the client's idempotency key
    sa.Column("parameters", sa.Text, nullable=False),  # JSON
    sa.Column("state", sa.Text, nullable=False),
    # Grows with each claim and is never reset: it fences what earlier attempts write.
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("forgiven", sa.BigInteger, nullable=False),  # attempts that do not count
    # Grows with each sign of life. Others see that it stands still; no clocks are compared.
    sa.Column("beat", sa.BigInteger, nullable=False),
    sa.Column("cancelling", sa.Boolean, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("phrase", sa.Text, nullable=False),
    sa.Column("interim", sa.Text),  # the best result so far, as JSON, until the run succeeds
    sa.Column("error", sa.Text),
    sa.Column("hint", sa.Text),
    sa.Column("submitted", sa.BigInteger, nullable=False),
    sa.Column("queued", sa.BigInteger, nullable=False),  # submitted, or submitted again
    sa.Column("started", sa.BigInteger),
    sa.Column("ended", sa.BigInteger),
    sa.Column("announced", sa.Boolean, nullable=False),  # whether a message told of the end
    sa.UniqueConstraint("job", "key"),
    sa.Index("tidemill_runs_state", "state", "job", "number"),
    sa.Index("tidemill_runs_ended", "ended"),
)
_UNTOLD: Final = sa.and_(RUNS.c.ended.is_not(None), RUNS.c.announced.is_(False))
sa.Index("tidemill_runs_untold", RUNS.c.ended, sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a task.

    Attributes:
        id: The name that `submit` returned.
        progress: From 0 to 1, with a phrase of the job.
        attempt: How often it was begun.
        cancelling: Whether somebody has cancelled it, even if it still runs.
        submitted: Milliseconds since 1970, as are the other times.
        error: Why it failed, with a hint what to do.

    """

    id: str
    job: str
    state: State
    attempt: int
    progress: float
    phrase: str
    cancelling: bool
    worker: str | None
    submitted: int
    started: int | None
    ended: int | None
    error: str | None
    hint: str | None

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more, unless it is retried."""
        return self.state in ENDED

    def as_json(self) -> dict[str, Any]:
        """Return what JSON has of it: its times as ISO 8601."""
        times = {name: getattr(self, name) for name in ("submitted", "started", "ended")}
        written = {name: None if time is None else moment(time) for name, time in times.items()}
        return msgspec.structs.asdict(self) | written


SHOWN: Final = [RUNS.c[name] for name in Run.__struct_fields__]


def run_of(row: sa.Row[Any]) -> Run:
    """Return a run from a row with the columns `SHOWN`."""
    return Run(**row._asdict())


def create_runs(database: Database) -> None:
    """Create the table if it does not exist."""
    with database.transaction() as connection:
        if database.postgres:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATION_LOCK)))
        METADATA.create_all(connection)
