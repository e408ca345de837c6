"""Run the databases of the benchmark of stores, and fill them."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import sqlalchemy as sa

from bench.backlog import cpu_seconds
from bench.contenders import stored_rows
from bench.contenders.store_lookups import SQLITE
from dev.pipeline.job_process import descendants
from dev.postgres import USER, Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SQLITE_NAME, POSTGRES_NAME = "SQLite", "PostgreSQL"
DATABASES = (SQLITE_NAME, POSTGRES_NAME)


class Database(NamedTuple):
    """A database for all contenders: its URL, Feast's settings for it, and its process if any."""

    name: str
    url: str
    feast: dict[str, Any]
    pid: int | None

    @property
    def cpu(self) -> float:
        """The CPU time of its processes in seconds; SQLite has none."""
        return 0.0 if self.pid is None else total_cpu(self.pid)


def total_cpu(pid: int) -> float:
    """Return the CPU time of a process and of those that it started, in seconds."""
    return sum(cpu_seconds(each) for each in (pid, *descendants(pid)))


@contextmanager
def running(name: str, folder: Path) -> Iterator[Database]:
    """Run an empty database."""
    if name == SQLITE_NAME:
        yield Database(name, f"{SQLITE}{folder}/store.db", {"type": "sqlite", "path": "o.db"}, None)
        return
    with Postgres() as server:
        address = sa.make_url(server.url)
        feast = {
            "type": "postgres",
            "host": address.host,
            "port": address.port,
            "database": address.database,
            "user": USER,
            "password": "",
            "sslmode": "disable",
            "conn_type": "pool",
        }
        yield Database(name, server.url, feast, server.pid)


def another(url: str) -> str:
    """Return the URL of a new database beside one."""
    if url.startswith(SQLITE):
        return f"{url}.other"
    with psycopg.connect(url, autocommit=True) as postgres:
        postgres.execute("CREATE DATABASE other")
    return sa.make_url(url).set(database="other").render_as_string(hide_password=False)


def write_plain(url: str, rows: int) -> None:
    """Write the table for plain SQL, with a column for each feature."""
    columns = ", ".join(f"{name} DOUBLE PRECISION" for name in stored_rows.names())
    create = f"CREATE TABLE plain ({stored_rows.KEY} BIGINT PRIMARY KEY, {columns})"
    content = ((key, *stored_rows.values(key)) for key in range(rows))
    if url.startswith(SQLITE):
        with sqlite3.connect(url.removeprefix(SQLITE)) as lite:
            lite.execute(create.replace("BIGINT", "INTEGER"))
            marks = ",".join("?" * (stored_rows.FEATURES + 1))
            lite.executemany(f"INSERT INTO plain VALUES ({marks})", content)  # noqa: S608
        lite.close()
        return
    with psycopg.connect(url) as postgres, postgres.cursor() as cursor:
        cursor.execute(create.encode())
        with cursor.copy("COPY plain FROM STDIN") as copy:
            for row in content:
                copy.write_row(row)
        cursor.execute("ANALYZE plain")
