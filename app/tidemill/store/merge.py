"""Merge rows of streams into a generation: for each key the latest row stays.

Which one is the latest depends on the rows alone: the later time; at the same time the larger
topic and partition, then the larger offset. A row of a load is the earliest of its time. So the
order in which rows arrive does not matter, nor does it if they arrive again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tidemill.store.catalogue import insert, rows_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.store.catalogue import Generation


def merge(
    connection: sa.Connection,
    generation: Generation,
    rows: sa.Select[Any] | Sequence[dict[str, Any]],
) -> None:
    """Write rows of streams, selected or given, unless their key has a later one."""
    into = rows_table(generation.table, generation.number)
    names = [column.name for column in into.columns]
    statement = insert(connection, into)
    conflict = ["key", "time"] if generation.table.history else ["key"]
    new = statement.excluded
    later = sa.tuple_(new.time, new.source, new.position) > sa.tuple_(
        into.c.time,
        sa.func.coalesce(into.c.source, ""),
        sa.func.coalesce(into.c.position, -1),
    )
    values = {name: new[name] for name in names if name not in conflict}
    if isinstance(rows, sa.Select):
        # SQLite takes ON CONFLICT for the condition of a join, if the SELECT has no WHERE.
        statement = statement.from_select(names, rows)
    upsert = statement.on_conflict_do_update(index_elements=conflict, set_=values, where=later)
    if isinstance(rows, sa.Select):
        connection.execute(upsert)
    elif rows:
        connection.execute(upsert, rows)
