"""Write a generation: first its rows, which no reader sees yet, then their index."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from tidemill.errors import LoadLost, RepeatedKey
from tidemill.periodic import PeriodicTask
from tidemill.store.catalogue import (
    GENERATIONS,
    LOADING,
    READY,
    TABLES,
    create_catalogue,
    insert,
    key_index,
    now_ms,
    rows_table,
    stream_index,
    this_generation,
)
from tidemill.store.database import Conflict, MissingTable
from tidemill.store.retention import drop_dead_loads, try_drop
from tidemill.store.rows import RowReader, StoredRow, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidemill.store.database import Database
    from tidemill.store.rows import Row
    from tidemill.store.table import Table

# Rows in one transaction: SQLite's other writers wait for it.
CHUNK: Final = 10_000
HEARTBEAT_S: Final = 10


def write_generation(
    database: Database,
    table: Table,
    rows: Iterable[Row],
    *,
    version: str | None = None,
    source: str | None = None,
) -> tuple[int, int]:
    """Write all rows into a new generation; return its number and the number of its rows.

    If that fails, nothing remains of it. If the process dies, the next load removes it.

    Raises:
        InvalidRow: A row does not have the table's columns.
        RepeatedKey: Several rows have the same key.
        LoadLost: Somebody dropped the generation meanwhile.

    """
    drop_dead_loads(database, table.name)
    started = now_ms()
    number = begin(database, table, source, started)
    try:
        with _heartbeat(database, table.name, number):
            read = _read(RowReader(table, version), rows, started)
            written = 0
            while chunk := list(islice(read, CHUNK)):
                written += len(chunk)
                with _own_generation(table.name, number), database.transaction() as connection:
                    _write(connection, rows_table(table, number), chunk)
            finish(database, table, number, written)
    except BaseException:
        try_drop(database, table.name, number)
        raise
    return number, written


def begin(database: Database, table: Table, source: str | None, now: int) -> int:
    """Give a new generation its number, and create its table."""
    create_catalogue(database)
    with database.transaction() as connection:
        new = insert(connection, TABLES).values(name=table.name, newest=1)
        # Waits for streams that write to the live generation; who comes later sees the new number.
        raised = new.on_conflict_do_update(
            index_elements=["name"], set_={"newest": TABLES.c.newest + 1}
        )
        number: int = connection.execute(raised.returning(TABLES.c.newest)).scalar_one()
        connection.execute(
            sa.insert(GENERATIONS).values(
                name=table.name,
                number=number,
                state=LOADING,
                description=msgspec.json.encode(table).decode(),
                source=source,
                rows=0,
                created=now,
                heartbeat=now,
            )
        )
        rows_table(table, number).create(connection)
    return number


def finish(database: Database, table: Table, number: int, written: int) -> None:
    """Create the indexes of a generation, and mark it as ready."""
    rows = rows_table(table, number)
    index, of_streams = key_index(rows, table), stream_index(rows)
    with _own_generation(table.name, number):
        try:
            with database.transaction() as connection:
                index.create(connection)
                of_streams.create(connection)
                if database.postgres:  # the planner knows nothing about a new table
                    connection.execute(sa.text(f"ANALYZE {rows.name}"))
                # At once: while SQLite writes an index nothing shows that the load is alive, and
                # another one may be waiting to remove it.
                ready = sa.update(GENERATIONS).where(*this_generation(table.name, number))
                if not connection.execute(ready.values(state=READY, rows=written)).rowcount:
                    raise LoadLost(table.name, number)
        except Conflict:
            repeated = sa.select(rows.c.key).group_by(*index.columns).having(sa.func.count() > 1)
            with database.reading() as connection:
                key = connection.scalars(repeated.limit(1)).first()
            raise RepeatedKey(table.name, repr(key)) from None


def _read(reader: RowReader, rows: Iterable[Row], time: int) -> Iterator[StoredRow]:
    """Yield the rows as the database has them; skip blank lines."""
    for number, row in enumerate(rows, start=1):
        if not is_blank(row):
            yield reader.read(number, row, time)


def _write(connection: sa.Connection, into: sa.Table, rows: Sequence[StoredRow]) -> None:
    driver: Any = connection.connection.driver_connection
    columns = ", ".join(StoredRow._fields)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(StoredRow._fields))
        driver.executemany(f"INSERT INTO {into.name} ({columns}) VALUES ({marks})", rows)  # noqa: S608
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {into.name} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _own_generation(name: str, number: int) -> Iterator[None]:
    """Say so if the generation that is written is gone."""
    try:
        yield
    except MissingTable:
        raise LoadLost(name, number) from None


def _heartbeat(database: Database, name: str, number: int) -> PeriodicTask:
    """Show regularly that the load is alive."""

    def beat() -> None:
        alive = sa.update(GENERATIONS).where(*this_generation(name, number))
        with database.transaction() as connection:
            connection.execute(alive.values(heartbeat=now_ms()))

    return PeriodicTask(HEARTBEAT_S, beat, "show that a load is alive")
