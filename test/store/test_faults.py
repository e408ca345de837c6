"""Processes that are killed, databases that go away, disks that are full."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dev import PYTHONPATH
from tidemill.errors import StoreFull, StoreUnavailable
from tidemill.store import catalogue, engines, load, retention
from tidemill.store.catalogue import generations
from tidemill.store.store import Store
from tidemill.store.upsert import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.postgres import Postgres
    from tidemill.store.table import Table

    MakeTable = Callable[..., Table]

CANARY = "canary-5e1d"
ENDLESS = """
import sys
from tidemill.store.store import Store
from tidemill.store.table import Table

def rows():
    key = 0
    while True:
        yield {"id": key, "age": 1}
        key += 1
        if key == 30_000:
            print("half-way", flush=True)

Store(sys.argv[1]).load(Table("users", ("id",), {"id": "integer", "age": "number"}), rows())
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB; without the right to mount one, the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def age(store: Store) -> float | None:
    """Return the column `age` of the key 1."""
    (row,) = store.get("users", [1]).rows
    return row and row.values["age"]


class TestKill:
    """A process that is killed leaves nothing that readers see."""

    def test_load(
        self, store: Store, url: str, users: MakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A load that was killed half-way is invisible; a later load drops what it left."""
        store.load(users(), [{"id": 1, "age": 30}])
        environment = os.environ | {"PYTHONPATH": PYTHONPATH}
        loading = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, url], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert loading.stdout is not None
        assert loading.stdout.readline() == "half-way\n"
        loading.send_signal(signal.SIGKILL)
        loading.communicate()
        (stats,) = store.stats()
        assert [each.state for each in stats.generations] == ["loading", "live"]
        assert age(store) == 30
        # Until a minute has passed, it may be alive.
        assert store.load(users(), [{"id": 1, "age": 31}]) == (3, 1, True)
        assert [each.number for each in store.stats()[0].generations] == [3, 2, 1]
        monkeypatch.setattr(retention, "DEAD_MS", 0)
        time.sleep(0.01)
        store.load(users(), [{"id": 1, "age": 32}])
        assert [each.number for each in store.stats()[0].generations] == [4, 3, 1]
        assert age(store) == 32


class TestAlive:
    """A load that is slow is not dead."""

    def test_heartbeat(
        self, store: Store, users: MakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another load leaves one alone that shows regularly that it is alive."""
        monkeypatch.setattr(load, "HEARTBEAT_S", 0.05)
        ahead_ms = 0
        clock = SimpleNamespace(time_ns=lambda: time.time_ns() + ahead_ms * 1_000_000)
        monkeypatch.setattr(catalogue, "time", clock)

        def slow() -> Iterator[dict[str, int]]:
            nonlocal ahead_ms
            yield {"id": 1, "age": 30}
            began = store.stats()[0].generations[0].created
            ahead_ms = 2 * retention.DEAD_MS  # much later
            while store.stats()[0].generations[0].heartbeat < began + ahead_ms:
                time.sleep(0.01)
            store.load(users(), [{"id": 1, "age": 31}])

        assert store.load(users(), slow()) == (1, 1, False)
        assert [each.number for each in store.stats()[0].generations] == [2, 1]

    def test_index(self, store: Store, users: MakeTable, url: str) -> None:
        """A load is ready as soon as it has its index: nobody can take it for dead in between.

        While SQLite writes an index, no sign of life gets through.
        """
        states: list[str] = []

        def look(*_: object) -> None:
            with other._database.reading() as connection:  # noqa: SLF001
                tables = sa.inspect(connection)
                if tables.has_table("users__g1") and tables.get_indexes("users__g1"):
                    states.append(generations(connection, "users")[0].state)

        with Store(url) as other:
            sa.event.listen(store._database._writes.pool, "checkin", look)  # noqa: SLF001
            assert store.load(users(), [{"id": 1, "age": 30}]) == (1, 1, True)
        assert states[0] == "ready"


class TestUnusable:
    """A database that cannot be used is named, without secrets."""

    def test_password(self) -> None:
        """No error, and no traceback of one, contains the password."""
        for url, password in (
            (f"postgresql://user:{CANARY}@127.0.0.1:1/x", None),
            ("postgresql://user@127.0.0.1:1/x", CANARY),
            (f"postgresql://user@127.0.0.1:1/x?password={CANARY}", None),
        ):
            with Store(url, password=password) as store:
                with pytest.raises(StoreUnavailable) as caught:
                    store.get("users", [1])
                shown = "".join(traceback.format_exception(caught.value))
                assert "@127.0.0.1:1/x is not" in caught.value.message
                assert CANARY not in shown + caught.value.hint

    def test_no_folder(self, tmp_path: Path) -> None:
        """A file that is no database is named."""
        (tmp_path / "store.db").write_text("no database " * 100)
        with Store(f"sqlite:///{tmp_path}/store.db") as store, pytest.raises(StoreUnavailable) as e:
            store.get("users", [1])
        assert "not a database" in e.value.message


class TestPostgres:
    """PostgreSQL restarts."""

    def test_restart(self, postgres: Postgres, postgres_url: str, users: MakeTable) -> None:
        """Reads and writes fail with a clear error meanwhile, and go on when it is back."""
        change = Change(0, {"id": 1, "age": 31}, 2**42)
        with Store(postgres_url) as store:
            store.load(users(), [{"id": 1, "age": 30}])
            assert age(store) == 30
            postgres.stop()
            try:
                with pytest.raises(StoreUnavailable) as caught:
                    age(store)
                assert caught.value.hint
                with pytest.raises(StoreUnavailable):
                    store.upsert("users", [change], ("a", 0))
                with pytest.raises(StoreUnavailable):
                    store.load(users(), [{"id": 1, "age": 99}])
            finally:
                postgres.start()
            assert age(store) == 30
            assert store.upsert("users", [change], ("a", 0)) == 1
            assert age(store) == 31

    def test_connections_closed(
        self, postgres: Postgres, postgres_url: str, users: MakeTable
    ) -> None:
        """A look-up on a connection that a restart has closed takes a new one, without an error."""
        with Store(postgres_url) as store:
            store.load(users(), [{"id": 1, "age": 30}])
            assert age(store) == 30
            postgres.stop()
            postgres.start()
            assert age(store) == 30

    def test_drop_while_read(
        self, postgres_url: str, users: MakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who drops a table that somebody reads for long gives up, and holds up no look-up."""
        with Store(postgres_url) as store:
            store.load(users(), [{"id": 1, "age": 30}])
            with monkeypatch.context() as patched, store._database.reading() as other:  # noqa: SLF001
                patched.setattr(retention, "LOCK_TIMEOUT", "50ms")
                other.execute(sa.text("SELECT * FROM users__g1"))
                with pytest.raises(StoreUnavailable, match="lock timeout"):
                    store.drop("users")
            assert age(store) == 30
            store.drop("users")


class TestSqlite:
    """One file, several processes."""

    def test_locked(
        self, tmp_path: Path, users: MakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While another process writes for long, reads go on, and writes fail with the reason."""
        monkeypatch.setattr(engines, "WRITE_TIMEOUT_S", 0)
        with Store(f"sqlite:///{tmp_path}/store.db", timeout=0.1) as store:
            store.load(users(), [{"id": 1, "age": 30}])
            other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with Store(f"sqlite:///{tmp_path}/store.db", timeout=0.1) as reader:
                assert age(reader) == 30
            with pytest.raises(StoreUnavailable) as caught:
                store.upsert("users", [Change(0, {"id": 1, "age": 31}, 2**42)], ("a", 0))
            assert "locked" in caught.value.message
            other.close()
            assert store.upsert("users", [Change(0, {"id": 1, "age": 31}, 2**42)], ("a", 0)) == 1

    def test_full(self, small_disk: Path, users: MakeTable) -> None:
        """A load that fills the disk fails with a hint; readers keep the rows that they had."""
        with Store(f"sqlite:///{small_disk}/store.db") as store:
            store.load(users(), [{"id": 1, "age": 30}])
            with pytest.raises(StoreFull) as caught:
                store.load(
                    users(), ({"id": key, "age": 0, "name": "x" * 999} for key in range(10**5))
                )
            assert "tidemill store drop" in caught.value.hint
            assert age(store) == 30
            store.load(users(), [{"id": 1, "age": 31}])
            assert age(store) == 31
