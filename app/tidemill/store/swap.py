"""Make another generation the live one, without losing what streams wrote meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tidemill.errors import UnknownGeneration
from tidemill.store.catalogue import (
    GENERATIONS,
    LIVE,
    LOADING,
    READY,
    RETIRED,
    TABLES,
    find,
    generations,
    lock,
    now_ms,
    rows_table,
    this_generation,
)
from tidemill.store.merge import merge

if TYPE_CHECKING:
    from tidemill.store.catalogue import Generation
    from tidemill.store.database import Database


def swap(database: Database, name: str, number: int | None = None) -> int:
    """Make a generation live, by default the newest one that is ready; return its number.

    Raises:
        UnknownTable, UnknownGeneration: There is no such generation.

    """
    with database.transaction() as connection:
        live = lock(connection, name).live
        found = generations(connection, name)
        ready = [g.number for g in found if g.state == READY and g.number > (live or 0)]
        if number is None and not ready:
            raise UnknownGeneration(name, "no newer generation that is ready")
        wanted = ready[0] if number is None else number
        _make_live(connection, name, live, wanted, found)
    return wanted


def swap_in(database: Database, name: str, number: int, *, first: bool = False) -> bool:
    """Make a new generation live, unless a later one is live already; return whether it is.

    So if two loads overlap, the one that began later stays, whichever ends first. With `first`, any
    live one stays.
    """
    with database.transaction() as connection:
        live = lock(connection, name).live
        if live is not None and (first or live > number):
            return False
        _make_live(connection, name, live, number, generations(connection, name))
    return True


def rollback(database: Database, name: str) -> int:
    """Make the generation live that was live before; return its number.

    Raises:
        UnknownTable, UnknownGeneration: There is no such generation.

    """
    with database.transaction() as connection:
        live = lock(connection, name).live
        found = generations(connection, name)
        earlier = [g.number for g in found if g.state == RETIRED and live and g.number < live]
        if not earlier:
            raise UnknownGeneration(name, "no earlier generation to roll back to")
        _make_live(connection, name, live, earlier[0], found)
    return earlier[0]


def _make_live(
    connection: sa.Connection, name: str, live: int | None, number: int, found: list[Generation]
) -> None:
    """Change the live generation, in the transaction that holds the table's lock."""
    wanted = find(found, number)
    if wanted is None or wanted.state == LOADING:
        state = "no generation" if wanted is None else "not yet finished loading generation"
        raise UnknownGeneration(name, f"{state} {number}")
    if number == live:
        return
    for each in found:
        if each.swapped is not None and each.number != number:
            _carry_over(connection, each, wanted)
    if live is not None:
        _update(connection, name, live, state=RETIRED)
    _update(connection, name, number, state=LIVE, swapped=now_ms())
    connection.execute(sa.update(TABLES).where(TABLES.c.name == name).values(live=number))


def _update(connection: sa.Connection, name: str, number: int, **values: object) -> None:
    connection.execute(
        sa.update(GENERATIONS).where(*this_generation(name, number)).values(**values)
    )


def _carry_over(connection: sa.Connection, old: Generation, new: Generation) -> None:
    """Copy what streams wrote to an older or newer generation since the new one began to load.

    What they wrote before, the load has. If the keys have changed, it is another table.
    """
    if (old.table.key_types, old.table.history) == (new.table.key_types, new.table.history):
        rows = rows_table(old.table, old.number)
        since = rows.c.source.is_not(None), rows.c.epoch >= new.number
        merge(connection, new, sa.select(rows).where(*since))
