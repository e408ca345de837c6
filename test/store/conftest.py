"""Run each test of the store on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dev.postgres import Postgres
from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NUMBERS = itertools.count()
PATIENCE_S = 60.0  # of what must work, on a machine that pauses


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that all tests share, each with a schema of its own."""
    with Postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def make_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return what creates an empty store and returns its URL."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/store{next(NUMBERS)}.db"
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: empty_schema(server)


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of an empty schema of the PostgreSQL server."""
    return empty_schema(postgres)


@pytest.fixture
def url(make_url: Callable[[], str]) -> str:
    """The URL of an empty store."""
    return make_url()


def empty_schema(server: Postgres) -> str:
    """Create an empty schema on a server, which costs less than a database; return its URL."""
    name = f"test{next(NUMBERS)}"
    address = sa.make_url(server.url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{server.url}?options=-csearch_path%3D{name}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    with Store(url, timeout=PATIENCE_S) as opened:
        yield opened


@pytest.fixture
def users() -> Callable[..., Table]:
    """Return what describes a table of users: `users(ttl=60)`."""

    def table(**changes: object) -> Table:
        columns = {"id": "integer", "age": "number", "name": "text or null"}
        return Table(**{"name": "users", "key": ("id",), "columns": columns} | changes)  # type: ignore[arg-type]

    return table
