"""Connect to SQLite or PostgreSQL."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError

from tidemill.errors import InvalidStoreUrl

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

POSTGRES: Final = "postgresql"
DRIVERS: Final = {
    "sqlite": "sqlite",
    POSTGRES: "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
# The option of a connection whose transaction only reads.
READING: Final = "tidemill_reading"
# How long a writer waits for another one in SQLite: the index of a large load takes its time.
WRITE_TIMEOUT_S: Final = 60
# After how many time-outs PostgreSQL ends a transaction whose program sends nothing more: with the
# default settings, before a worker that waits for its locks is taken for dead.
IDLE_TIMES: Final = 2
# WAL lets readers go on while one process writes. With FULL a power failure loses no message that
# was written. The rest is for speed.
PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = OFF",
    "cache_size = -16384",  # 16 MiB
)
# Look-ups read the file's first GiB as memory, which the kernel shares and takes back. A load would
# only seem to need as much.
READ_PRAGMAS: Final = ("mmap_size = 1073741824",)


def parse(url: str) -> sa.URL:
    """Return a URL with the driver for its database.

    Raises:
        InvalidStoreUrl: There can be no database at the URL.

    """
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


def create_folder(file: Path) -> None:
    """Create the folder of a database file, which only its owner may read."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidStoreUrl(f"names a file whose folder cannot be created: {error}") from None


def create_engine(url: sa.URL, timeout: float, *, reads: bool) -> sa.Engine:
    """Return a pool of connections, for single reads outside transactions, or for transactions."""
    options: dict[str, Any]
    if url.get_backend_name() == POSTGRES:
        options = {
            "connect_timeout": max(2, round(timeout)),
            "application_name": "tidemill",
            # A network that drops packets is noticed in seconds, not after minutes.
            "tcp_user_timeout": round(timeout * 1000),
            "keepalives_idle": max(2, round(timeout)),
            "keepalives_interval": 2,
            "keepalives_count": 3,
        }
        # A program that freezes within a transaction must not keep its locks for ever.
        name = "statement_timeout" if reads else "idle_in_transaction_session_timeout"
        limit = timeout if reads else IDLE_TIMES * max(1.0, timeout)
        given = url.query.get("options", "")
        options["options"] = f"{given} -c {name}={round(limit * 1000)}".strip()
        if reads:
            options["autocommit"] = True
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
        event.listen(engine, "connect", partial(_configure, (*PRAGMAS, *READ_PRAGMAS * reads)))
        if not reads:
            event.listen(engine, "begin", _begin)
    return engine


def _configure(pragmas: Sequence[str], connection: sqlite3.Connection, _record: object) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin(connection: sa.Connection) -> None:
    """Take SQLite's only write lock at once, so that no transaction has to be repeated for it."""
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
