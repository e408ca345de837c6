"""Write the end of a run, with its result, and count it: in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from tidemill.tasks.outcome import Failure, storable
from tidemill.tasks.results import write_result
from tidemill.tasks.runs import FAILED, RUNS, SUCCEEDED
from tidemill.tasks.totals import count_end

if TYPE_CHECKING:
    from tidemill.tasks.outcome import Outcome, Progress

MAX_PHRASE: Final = 200


def end(
    connection: sa.Connection,
    held: sa.Row[Any],
    outcome: Outcome | str,
    now: int,
    progress: Progress | None = None,
) -> None:
    """Write the end of a run whose row is locked; an outcome may be only a state."""
    values = {"ended": now, **(columns(progress) if progress else {})}
    if isinstance(outcome, bytes):
        write_result(connection, held.id, held.job, outcome, now)
        values |= {"state": SUCCEEDED, "progress": 1, "interim": None}
    elif isinstance(outcome, Failure):
        error, hint = map(storable, outcome)
        values |= {"state": FAILED, "error": error, "hint": hint}
    else:
        values |= {"state": outcome}
    connection.execute(sa.update(RUNS).where(RUNS.c.id == held.id).values(**values))
    count_end(connection, held.job, values["state"], max(0, now - held.started) / 1000)


def columns(progress: Progress) -> dict[str, Any]:
    """Return the columns that show a progress."""
    shown = {"progress": progress.done, "phrase": storable(progress.phrase)[:MAX_PHRASE]}
    if progress.interim is None:
        return shown
    return shown | {"interim": progress.interim.decode()}
