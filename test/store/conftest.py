"""Run each test of the store on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import hypothesis
import pytest
import sqlalchemy as sa

from dev.postgres import Postgres
from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# No deadline: a slow machine is not a failure.
hypothesis.settings.register_profile("store", deadline=None)
hypothesis.settings.load_profile("store")

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that all tests share, each with a database of its own."""
    with Postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def make_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return what creates an empty database and returns its URL."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/store{next(NUMBERS)}.db"
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: create_database(server)


@pytest.fixture
def new_database(postgres: Postgres) -> str:
    """The URL of an empty database of the PostgreSQL server."""
    return create_database(postgres)


@pytest.fixture
def url(make_url: Callable[[], str]) -> str:
    """The URL of an empty database."""
    return make_url()


def create_database(server: Postgres) -> str:
    """Create an empty database on a server; return its URL."""
    name = f"test{next(NUMBERS)}"
    address = sa.make_url(server.url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.url.replace("/postgres", f"/{name}")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    with Store(url) as opened:
        yield opened


@pytest.fixture
def users() -> Callable[..., Table]:
    """Return what describes a table of users: `users(ttl=60)`."""

    def table(**changes: object) -> Table:
        columns = {"id": "integer", "age": "number", "name": "text or null"}
        return Table(**{"name": "users", "key": ("id",), "columns": columns} | changes)  # type: ignore[arg-type]

    return table
