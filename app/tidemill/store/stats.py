"""Tell what is in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from tidemill.store.catalogue import POSITIONS, TABLES, find, generations, rows_table
from tidemill.store.database import MissingTable

if TYPE_CHECKING:
    from tidemill.store.catalogue import Generation
    from tidemill.store.database import Database


class TableStats(NamedTuple):
    """A table with its generations, the newest first, and the positions of its streams.

    `rows` is the number of rows that are live, or None if they were not counted.
    """

    name: str
    live: Generation | None
    generations: list[Generation]
    positions: dict[str, int]
    rows: int | None


def stats(database: Database, *, count: bool) -> list[TableStats]:
    """Return what there is to know about each table."""
    try:
        with database.reading() as connection:
            found = connection.execute(sa.select(TABLES).order_by(TABLES.c.name)).all()
            listed = [_stats(connection, name, live, count=count) for name, _, live in found]
    except MissingTable:
        return []  # nothing was loaded yet
    return [each for each in listed if each.generations]


def exists(database: Database, name: str) -> bool:
    """Return whether there is a table that readers see."""
    return any(each.name == name and each.live for each in stats(database, count=False))


def _stats(connection: sa.Connection, name: str, live: int | None, *, count: bool) -> TableStats:
    every = generations(connection, name)
    positions = sa.select(POSITIONS.c.source, POSITIONS.c.next).where(POSITIONS.c.name == name)
    current = find(every, live)
    rows = None
    if count and current is not None:
        table = rows_table(current.table, current.number)
        there = sa.select(sa.func.count()).select_from(table).where(table.c.data.is_not(None))
        rows = connection.execute(there).scalar_one()
    return TableStats(
        name, current, every, {row.source: row.next for row in connection.execute(positions)}, rows
    )
