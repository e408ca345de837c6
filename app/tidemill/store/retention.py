"""Drop generations: what dead loads left, and old ones that no rollback needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
import structlog

from tidemill.errors import TidemillError, UnknownGeneration, UnknownTable
from tidemill.store.catalogue import (
    GENERATIONS,
    LOADING,
    POSITIONS,
    TABLES,
    generations,
    live_generation,
    live_names,
    lock,
    now_ms,
    this_generation,
)
from tidemill.store.database import MissingTable

if TYPE_CHECKING:
    from tidemill.store.database import Database

# A load whose last sign of life is older is dead.
DEAD_MS: Final = 60_000
LOCK_TIMEOUT: Final = "2s"

log = structlog.get_logger(__name__)


def drop_generation(
    database: Database, name: str, number: int, *only_if: sa.ColumnElement[bool]
) -> bool:
    """Drop a generation, unless it is live, or a condition is not true; return whether it did.

    A read that has begun goes on. One that begins later finds no table, and reads the live one.
    """
    with database.transaction() as connection:
        _wait_briefly(database, connection)
        if lock(connection, name).live == number:
            return False
        forget = sa.delete(GENERATIONS).where(*this_generation(name, number), *only_if)
        if not connection.execute(forget).rowcount:
            return False
        connection.execute(sa.text(f"DROP TABLE IF EXISTS {name}__g{number}"))
    return True


def _wait_briefly(database: Database, connection: sa.Connection) -> None:
    """Limit the wait for a long read: whoever wants to read the table next waits behind this."""
    if database.postgres:
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


def try_drop(database: Database, name: str, number: int, *only_if: sa.ColumnElement[bool]) -> None:
    """Drop a generation, or leave it to a later load if somebody reads it for long."""
    try:
        drop_generation(database, name, number, *only_if)
    except TidemillError as error:
        log.warning("cannot drop generation %d of %s yet", number, name, error=error.message)


def drop_dead_loads(database: Database, name: str) -> None:
    """Drop what loads left that died half-way."""
    try:
        with database.reading() as connection:
            found = generations(connection, name)
    except MissingTable:
        return  # the first load of all
    latest = now_ms() - DEAD_MS
    for each in found:
        if each.state == LOADING and each.heartbeat < latest:
            # It may have been alive after all, and may be finished by now.
            dead = GENERATIONS.c.state == LOADING, GENERATIONS.c.heartbeat < latest
            try_drop(database, name, each.number, *dead)


def drop_old(database: Database, name: str) -> None:
    """Drop the generations before the live one, except for as many as the table keeps."""
    live = live_generation(database, name)
    with database.reading() as connection:
        found = generations(connection, name)
    old = [each for each in found if each.state != LOADING and each.number < live.number]
    for each in old[live.table.keep :]:
        try_drop(database, name, each.number)


def drop(database: Database, name: str, number: int | None) -> None:
    """Drop a whole table, or one of its generations that is not live.

    Raises:
        UnknownTable, UnknownGeneration: There is no such table or generation, or it is live.

    """
    with database.transaction() as connection:
        _wait_briefly(database, connection)
        lock(connection, name)
        found = [each.number for each in generations(connection, name)]
        if not found:
            raise UnknownTable(name, live_names(connection))
        if number is None:
            connection.execute(sa.update(TABLES).where(TABLES.c.name == name).values(live=None))
            for catalogue in (GENERATIONS, POSITIONS):
                connection.execute(sa.delete(catalogue).where(catalogue.c.name == name))
            for each in found:
                connection.execute(sa.text(f"DROP TABLE IF EXISTS {name}__g{each}"))
            return
    if number not in found:
        raise UnknownGeneration(name, f"no generation {number}")
    if not drop_generation(database, name, number):
        raise UnknownGeneration(name, f"generation {number} as its live one, which must stay")
