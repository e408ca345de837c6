"""Run transactions and reads in SQLite or PostgreSQL, and turn their errors into ours."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tidemill.errors import StoreFull, StoreRefused, StoreUnavailable, one_line
from tidemill.store import engines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import sqlalchemy as sa

DISK_FULL: Final = "53100"  # PostgreSQL's codes of errors
NO_TABLE: Final = "42P01"
LIMIT_EXCEEDED: Final = "54"  # the class of such errors


class Database:
    """A database with two pools of connections: one for transactions, one for single reads."""

    def __init__(self, url: str, *, password: str | None = None, timeout: float = 5) -> None:
        """Prepare connections; the first use opens one.

        `timeout` is how many seconds a connection, a read or a lock may take.
        """
        parsed = engines.parse(url)
        if password is not None:
            parsed = parsed.set(password=password)
        # Its parameters may contain a password, too.
        plain = parsed.set(query={}, drivername=parsed.get_backend_name())
        self.url = plain.render_as_string(hide_password=True)
        self.postgres = parsed.get_backend_name() == engines.POSTGRES
        if not self.postgres:
            engines.create_folder(Path(str(parsed.database)))
        self._writes = engines.create_engine(parsed, timeout, reads=False)
        self._reads = engines.create_engine(parsed, timeout, reads=True)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection within a transaction, which is committed at the end.

        Raises:
            StoreUnavailable, StoreFull: The database does not do it.
            StoreRefused: It cannot hold a value, such as a text that is too long.

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
            connection.execution_options(**{engines.READING: True}).begin(),
        ):
            yield connection

    def fetch(
        self, statement: str, parameters: Sequence[object] | Mapping[str, object]
    ) -> list[Any]:
        """Return the rows of one statement, which sees one state of the database.

        If the database has closed the connection, as it does when it restarts, try a new one.

        Raises:
            StoreUnavailable: The database cannot be reached.
            MissingTable: The statement reads a table that does not exist.

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
        except (OverflowError, UnicodeEncodeError) as error:  # of the driver, before it sends
            raise StoreRefused(self.url, one_line(str(error))) from error
        except (SQLAlchemyError, Disconnected, self._reads.dialect.loaded_dbapi.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            reason = one_line(str(cause))
            if isinstance(error, IntegrityError):
                raise Conflict(reason) from None
            if _is_missing_table(cause):
                raise MissingTable(reason) from None
            if _is_full(cause):
                raise StoreFull(self.url) from error
            if isinstance(error, DataError) or _is_too_large(cause):
                raise StoreRefused(self.url, reason) from error
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


def _is_too_large(error: BaseException | None) -> bool:
    return str(getattr(error, "sqlstate", "")).startswith(LIMIT_EXCEEDED)
