"""Keep the results of runs in a table of the store, where look-ups find them by run id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from tidemill.errors import UnknownTable
from tidemill.store.catalogue import find, generations, lock, rows_table
from tidemill.store.merge import merge
from tidemill.tasks.runs import RESULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.store.catalogue import Generation


def write_result(connection: sa.Connection, run: str, job: str, result: bytes, now: int) -> None:
    """Write a result, as JSON, in the transaction that ends its run."""
    live, newest = _live(connection)
    merge(
        connection,
        live,
        [
            {
                "key": run,
                "time": now,
                "version": None,
                "data": msgspec.json.encode({"job": job, "result": msgspec.Raw(result)}).decode(),
                "source": "tasks",
                "position": 0,
                "epoch": newest,
            }
        ],
    )


def drop_results(connection: sa.Connection, runs: Sequence[str]) -> None:
    """Delete the results of runs."""
    live, _ = _live(connection)
    rows = rows_table(live.table, live.number)
    connection.execute(sa.delete(rows).where(rows.c.key.in_(runs)))


def _live(connection: sa.Connection) -> tuple[Generation, int]:
    """Return the generation that readers see, and the number of the newest."""
    locked = lock(connection, RESULTS.name, shared=True)
    live = find(generations(connection, RESULTS.name), locked.live)
    if live is None:
        raise UnknownTable(RESULTS.name, ())
    return live, locked.newest
