"""What the store knows about its tables: their generations, and which one is live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tidemill.errors import UnknownTable
from tidemill.store.database import MissingTable
from tidemill.store.table import NAME, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.store.database import Database

METADATA: Final = sa.MetaData()
# The row of a table that was dropped stays, so that no number is ever given twice: other processes
# remember which one is live.
TABLES: Final = sa.Table(
    "tidemill_tables",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("newest", sa.BigInteger, nullable=False),  # the last number given to a generation
    sa.Column("live", sa.BigInteger),
)
GENERATIONS: Final = sa.Table(
    "tidemill_generations",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),  # the `Table`, as JSON
    sa.Column("source", sa.Text),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("heartbeat", sa.BigInteger, nullable=False),  # of the load that writes it
    sa.Column("swapped", sa.BigInteger),  # when it became live
)
POSITIONS: Final = sa.Table(
    "tidemill_positions",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("next", sa.BigInteger, nullable=False),  # the offset that is written next
)
# States of a generation. Readers see the live one only; a retired one was live before.
LOADING, READY, LIVE, RETIRED = "loading", "ready", "live", "retired"

# Any number that no other program locks: it keeps two programs from creating the tables at once.
CREATION_LOCK: Final = 7_214_990_318
# Made now: msgspec crashes if two threads are the first to decode a type.
_DESCRIPTIONS: Final = msgspec.json.Decoder(Table)


class Generation(NamedTuple):
    """One generation of a table; times are milliseconds since 1970."""

    table: Table
    number: int
    state: str
    source: str | None
    rows: int
    created: int
    heartbeat: int
    swapped: int | None


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def create_catalogue(database: Database) -> None:
    """Create the tables of the catalogue if they do not exist."""
    with database.transaction() as connection:
        if database.postgres:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATION_LOCK)))
        METADATA.create_all(connection)


def rows_table(table: Table, number: int) -> sa.Table:
    """Return the SQL table with the rows of a generation; its indexes come after its rows."""
    text = sa.Text().with_variant(sa.Text(collation="C"), postgresql.dialect.name)
    return sa.Table(
        f"{table.name}__g{number}",
        sa.MetaData(),
        sa.Column("key", sa.BigInteger if table.integer_key else text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Text),
        sa.Column("data", sa.Text),  # null: the key was deleted
        # Only of rows that a stream wrote: the topic and partition, the offset, and the newest
        # generation of the table at that time.
        sa.Column("source", text),
        sa.Column("position", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger),
    )


def key_index(rows: sa.Table, table: Table) -> sa.Index:
    """Return the index that finds a key, and lets it have one row, or one for each time."""
    columns = [rows.c.key, rows.c.time] if table.history else [rows.c.key]
    return sa.Index(f"{rows.name}_key", *columns, unique=True)


def stream_index(rows: sa.Table) -> sa.Index:
    """Return the index of the rows that streams wrote, by epoch; it is empty after a load.

    A swap carries such rows over, and must not read all others to find them.
    """
    streamed = rows.c.source.is_not(None)
    name = f"{rows.name}_epoch"
    return sa.Index(name, rows.c.epoch, postgresql_where=streamed, sqlite_where=streamed)


def insert(connection: sa.Connection, into: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT of the connection's database, which can resolve conflicts."""
    postgres = connection.dialect.name == postgresql.dialect.name
    return postgresql.insert(into) if postgres else sqlite.insert(into)


def live_generation(database: Database, name: str) -> Generation:
    """Return the live generation of a table.

    Raises:
        UnknownTable: There is no such table, or it was never loaded.

    """
    try:
        with database.reading() as connection:
            query = sa.select(GENERATIONS).join(
                TABLES,
                (TABLES.c.name == GENERATIONS.c.name) & (TABLES.c.live == GENERATIONS.c.number),
            )
            if NAME.fullmatch(name):  # PostgreSQL refuses some texts, such as those with NUL
                found = connection.execute(query.where(TABLES.c.name == name)).mappings().first()
                if found is not None:
                    return generation(found)
            names = live_names(connection)
    except MissingTable:
        names = []
    raise UnknownTable(name, names)


def live_names(connection: sa.Connection) -> Sequence[str]:
    """Return the names of the tables that readers see."""
    named = sa.select(TABLES.c.name).where(TABLES.c.live.is_not(None))
    return connection.scalars(named.order_by(TABLES.c.name)).all()


def generations(connection: sa.Connection, name: str) -> list[Generation]:
    """Return the generations of a table, the newest first."""
    query = sa.select(GENERATIONS).where(GENERATIONS.c.name == name)
    found = connection.execute(query.order_by(GENERATIONS.c.number.desc())).mappings()
    return [generation(each) for each in found]


def find(among: Sequence[Generation], number: int | None) -> Generation | None:
    """Return the generation with a number."""
    return next((each for each in among if each.number == number), None)


def generation(row: sa.RowMapping) -> Generation:
    """Return a generation from its row."""
    columns: dict[str, Any] = dict(row)
    del columns["name"]
    table = _DESCRIPTIONS.decode(columns.pop("description"))
    return Generation(table=table, **columns)


def lock(connection: sa.Connection, name: str, *, shared: bool = False) -> sa.Row[Any]:
    """Lock a table's row until the end of the transaction, and return it.

    Who shares the lock may write to the live generation at the same time as others, but not while
    another generation is made live. SQLite has only one lock, which the transaction has already.

    Raises:
        UnknownTable: There is no such table.

    """
    query = sa.select(TABLES).where(TABLES.c.name == name).with_for_update(read=shared)
    found = connection.execute(query).first()
    if found is None:
        raise UnknownTable(name, live_names(connection))
    return found


def this_generation(name: str, number: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that select the row of a generation."""
    return GENERATIONS.c.name == name, GENERATIONS.c.number == number
