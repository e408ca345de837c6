"""Look keys up in one generation: one statement, which also says whether it is the live one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.dialects.sqlite import pysqlite

from tidemill.store.catalogue import TABLES, rows_table
from tidemill.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.store.catalogue import Generation
    from tidemill.store.database import Database
    from tidemill.store.table import StoredKey

# The parameters of the statements: arrays in PostgreSQL, JSON in SQLite.
KEYS: Final = "keys"
TIMES: Final = "times"


# Stands for the name of a table in statements that are compiled once for all tables.
ANY: Final = "any_table"


class Lookup:
    """Reads one generation."""

    def __init__(self, generation: Generation, database: Database) -> None:
        """Prepare the statements."""
        self.generation = generation
        self._database = database
        self._postgres = database.postgres
        table, number = generation.table, generation.number
        self._one, self._many, self._as_of = (
            statement.of(table.name, number)
            for statement in _statements(postgres=database.postgres, integer_key=table.integer_key)
        )

    def latest(self, keys: Sequence[StoredKey]) -> dict[Any, Any] | None:
        """Return the rows by key, or None if the generation is not the live one any more."""
        if len(keys) == 1:
            return self._fetch(self._one, {KEYS: keys[0]})
        return self._fetch(self._many, {KEYS: list(keys) if self._postgres else _encode(keys)})

    def as_of(self, keys: Sequence[StoredKey], times: Sequence[int]) -> dict[Any, Any] | None:
        """Return the latest row of each key until its time, by the key's place in `keys`.

        Return None if the generation is not the live one any more.
        """
        if self._postgres:
            return self._fetch(self._as_of, {KEYS: list(keys), TIMES: list(times)})
        return self._fetch(self._as_of, {KEYS: _encode(list(zip(keys, times, strict=True)))})

    def _fetch(
        self, statement: Statement, parameters: Mapping[str, object]
    ) -> dict[Any, Any] | None:
        names = statement.positions
        values = parameters if names is None else [parameters[name] for name in names]
        rows = self._database.fetch(statement.text, values)
        found = {row[0]: row for row in rows}
        live = found.pop(None, None)
        return found if live is not None and live[1] == self.generation.number else None


class Statement(NamedTuple):
    """The text of a statement, and the names of its parameters if the driver wants a list."""

    text: str
    positions: list[str] | None

    def of(self, name: str, number: int) -> Statement:
        """Return the statement for a generation of a table."""
        text = self.text.replace(f"'{ANY}'", f"'{name}'")
        return self._replace(text=text.replace(f"{ANY}__g0", f"{name}__g{number}"))


@cache
def _statements(*, postgres: bool, integer_key: bool) -> tuple[Statement, Statement, Statement]:
    """Compile what reads one key, many keys, and many keys as of their times.

    To compile takes milliseconds; after a swap, the first look-up of each process would wait.
    """
    table = Table(ANY, ("key",), {"key": "integer"} if integer_key else {})
    rows = rows_table(table, 0)
    columns = (rows.c.key, rows.c.time, rows.c.version, rows.c.data)
    live = _live(rows.c.key.type)
    one = sa.select(*columns).where(rows.c.key == sa.bindparam(KEYS))
    listed = sa.func.unnest(_keys(rows)) if postgres else _json("value").c.value
    many = sa.select(*columns).where(rows.c.key.in_(sa.select(listed)))
    as_of = _as_of_postgres(rows) if postgres else _as_of_sqlite(rows)
    dialect: sa.Dialect = pysqlite.dialect()
    if postgres:
        dialect = psycopg.dialect()  # type: ignore[no-untyped-call]
    return (
        _compiled(live.union_all(one), dialect),
        _compiled(live.union_all(many), dialect),
        _compiled(_live(sa.BigInteger()).union_all(as_of), dialect),
    )


def _compiled(query: sa.CompoundSelect[Any], dialect: sa.Dialect) -> Statement:
    compiled = query.compile(dialect=dialect)
    return Statement(str(compiled), compiled.positiontup if dialect.positional else None)


def _encode(values: object) -> str:
    return msgspec.json.encode(values).decode()


def _live(first: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    """Select the live number, as a row of its own, which is there even if no key is found.

    Its first column is null, and a key never is.
    """
    columns = (sa.cast(sa.null(), first), TABLES.c.live, sa.cast(sa.null(), sa.Text), sa.null())
    name: sa.ColumnElement[str] = sa.literal_column(f"'{ANY}'")  # a name has no quotes
    return sa.select(*columns).where(TABLES.c.name == name)


def _keys(rows: sa.Table) -> sa.BindParameter[Any]:
    plain = sa.BigInteger() if isinstance(rows.c.key.type, sa.BigInteger) else sa.Text()
    return sa.bindparam(KEYS, type_=postgresql.ARRAY(plain))


def _json(*columns: str) -> sa.TableValuedAlias:
    return sa.func.json_each(sa.bindparam(KEYS)).table_valued(*columns, name="wanted")


def _as_of_sqlite(rows: sa.Table) -> sa.Select[Any]:
    wanted = _json("key", "value")
    key = sa.func.json_extract(wanted.c.value, sa.literal_column("'$[0]'"))
    time = sa.func.json_extract(wanted.c.value, sa.literal_column("'$[1]'"))
    return _as_of(rows, wanted, wanted.c.key, key, time)


def _as_of_postgres(rows: sa.Table) -> sa.Select[Any]:
    times = sa.bindparam(TIMES, type_=postgresql.ARRAY(sa.BigInteger))
    unnested = sa.func.unnest(_keys(rows), times)
    wanted = unnested.table_valued("key", "time", with_ordinality="place", name="wanted")
    wanted = wanted.render_derived()
    return _as_of(
        rows, wanted, wanted.c.place - sa.literal_column("1"), wanted.c.key, wanted.c.time
    )


def _as_of(
    rows: sa.Table,
    wanted: sa.FromClause,
    place: sa.ColumnElement[Any],
    key: sa.ColumnElement[Any],
    time: sa.ColumnElement[Any],
) -> sa.Select[Any]:
    earlier = rows.alias("earlier")
    latest = (
        sa.select(sa.func.max(earlier.c.time))
        .where(earlier.c.key == key, earlier.c.time <= time)
        .scalar_subquery()
    )
    found = wanted.join(rows, (rows.c.key == key) & (rows.c.time == latest))
    return sa.select(place, rows.c.time, rows.c.version, rows.c.data).select_from(found)
