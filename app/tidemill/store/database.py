"""Connect to SQLite or PostgreSQL, and turn their errors into ours."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tidemill.errors import InvalidStoreUrl, StoreFull, StoreUnavailable, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

POSTGRES: Final = "postgresql"
DRIVERS: Final = {
    "sqlite": "sqlite",
    POSTGRES: "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
DISK_FULL: Final = "53100"  # PostgreSQL's code of the error
NO_TABLE: Final = "42P01"
READING: Final = "tidemill_reading"
# How long a writer waits for another one in SQLite: the index of a large load takes its time.
WRITE_TIMEOUT_S: Final = 60
# WAL lets readers go on while one process writes. In it, NORMAL loses no consistency; after a power
# failure the latest transactions may be missing. The rest is for speed.
PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "secure_delete = OFF",
    "cache_size = -16384",  # 16 MiB
    "mmap_size = 1073741824",
)


class Database:
    """A database with two pools of connections: one for transactions, one for single reads."""

    def __init__(self, url: str, *, password: str | None = None, timeout: float = 5) -> None:
        """Prepare connections; the first use opens one.

        `timeout` is how many seconds a connection, a read or a lock may take.
        """
        parsed = _parse(url)
        if password is not None:
            parsed = parsed.set(password=password)
        self.url = parsed.render_as_string(hide_password=True)
        self.postgres = parsed.get_backend_name() == POSTGRES
        if not self.postgres:
            _create_folder(Path(str(parsed.database)))
        self._writes = _engine(parsed, timeout, reads=False)
        self._reads = _engine(parsed, timeout, reads=True)
        if not self.postgres:
            event.listen(self._writes, "begin", _begin)

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect that compiles statements for this database."""
        return self._reads.dialect

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection within a transaction, which is committed at the end.

        Raises:
            StoreUnavailable, StoreFull: The database does not do it.

        """
        with self.translated(), self._writes.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection for several reads, which wait for no writer.

        Raises:
            StoreUnavailable: The database does not do it.

        """
        with (
            self.translated(),
            self._writes.connect() as connection,
            connection.execution_options(**{READING: True}).begin(),
        ):
            yield connection

    def fetch(
        self, statement: str, parameters: Sequence[object] | Mapping[str, object]
    ) -> list[Any]:
        """Return the rows of one statement, which sees one state of the database.

        If the database has closed the connection, as it does when it restarts, try a new one.

        Raises:
            StoreUnavailable: The database cannot be reached.
            DBAPIError: No such table, and other errors of the statement.

        """
        with self.translated():
            try:
                return self._fetch(statement, parameters)
            except Disconnected:
                self._reads.dispose()
                return self._fetch(statement, parameters)

    def _fetch(
        self, statement: str, parameters: Sequence[object] | Mapping[str, object]
    ) -> list[Any]:
        pooled = self._reads.raw_connection()
        driver = pooled.driver_connection
        try:
            return driver.execute(statement, parameters).fetchall()  # type: ignore[union-attr, no-any-return]
        except self._reads.dialect.loaded_dbapi.Error as error:
            if self._reads.dialect.is_disconnect(error, pooled, None):
                pooled.invalidate()
                raise Disconnected(one_line(str(error))) from error
            raise
        finally:
            pooled.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of the database into the store's."""
        try:
            yield
        except PoolTimeout:
            raise StoreUnavailable(self.url, "all connections are in use") from None
        except (SQLAlchemyError, Disconnected, self._reads.dialect.loaded_dbapi.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            reason = one_line(str(cause))
            if isinstance(error, IntegrityError):
                raise Conflict(reason) from None
            if _is_missing_table(cause):
                raise MissingTable(reason) from None
            if _is_full(cause):
                raise StoreFull(self.url) from error
            raise StoreUnavailable(self.url, reason) from error

    def close(self) -> None:
        """Close all connections."""
        self._writes.dispose()
        self._reads.dispose()


class Disconnected(Exception):
    """The database has closed a connection."""


class Conflict(Exception):
    """Two rows have the same key."""


class MissingTable(Exception):
    """A table of the database does not exist, or does not any more."""


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidStoreUrl("is no URL") from None
    backend = parsed.get_backend_name()
    if backend not in DRIVERS:
        raise InvalidStoreUrl(f"begins with {backend}, which is neither sqlite nor postgresql")
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise InvalidStoreUrl("names no file")
    return parsed.set(drivername=DRIVERS[backend])


def _create_folder(file: Path) -> None:
    """Create the folder of a database file, which only its owner may read."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidStoreUrl(f"names a file whose folder cannot be created: {error}") from None


def _engine(url: sa.URL, timeout: float, *, reads: bool) -> sa.Engine:
    options: dict[str, Any]
    if url.get_backend_name() == POSTGRES:
        options = {"connect_timeout": max(2, round(timeout)), "application_name": "tidemill"}
        if reads:
            given = url.query.get("options", "")
            options |= {
                "autocommit": True,
                "options": f"{given} -c statement_timeout={round(timeout * 1000)}".strip(),
                "tcp_user_timeout": round(timeout * 1000),
            }
    else:
        # Transactions are begun by the statement below, not by the driver.
        patience = timeout if reads else max(timeout, WRITE_TIMEOUT_S)
        options = {"timeout": patience, "isolation_level": None, "check_same_thread": False}
    engine = sa.create_engine(
        url,
        connect_args=options,
        hide_parameters=True,
        pool_size=16,
        max_overflow=16,
        pool_timeout=timeout,
        pool_pre_ping=not reads,
        # One statement outside a transaction leaves nothing to roll back.
        pool_reset_on_return=None if reads else "rollback",
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin(connection: sa.Connection) -> None:
    """Take SQLite's only write lock at once, so that no transaction has to be repeated for it."""
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _is_missing_table(error: BaseException | None) -> bool:
    """Return whether an error of a driver says that there is no such table."""
    return getattr(error, "sqlstate", None) == NO_TABLE or (
        isinstance(error, sqlite3.OperationalError) and str(error).startswith("no such table")
    )


def _is_full(error: BaseException | None) -> bool:
    return (
        getattr(error, "sqlstate", None) == DISK_FULL
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    )
