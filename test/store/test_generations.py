"""Loads, swaps and rollbacks: readers see exactly one generation, whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tidemill.errors import (
    InvalidRow,
    LoadLost,
    RepeatedKey,
    UnknownGeneration,
    UnknownTable,
)
from tidemill.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.store.table import Table

    MakeTable = Callable[..., Table]


def ages(store: Store, *keys: int) -> list[float | None]:
    """Return the column `age` of keys."""
    return [row and row.values["age"] for row in store.get("users", keys).rows]


def row(key: int, age: float) -> dict[str, Any]:
    """Return a row."""
    return {"id": key, "age": age}


def states(store: Store) -> dict[int, str]:
    """Return the state of each generation."""
    (stats,) = store.stats()
    return {each.number: each.state for each in stats.generations}


class TestSwap:
    """A swap makes a generation live at once, and a rollback an earlier one."""

    def test_load(self, store: Store, users: MakeTable) -> None:
        """A load replaces all rows: a key that it does not have is gone."""
        assert store.load(users(), [row(1, 10), row(2, 20)]) == (1, 2, True)
        assert store.load(users(), [row(2, 21)]) == (2, 1, True)
        assert ages(store, 1, 2) == [None, 21]

    def test_two_steps(self, store: Store, users: MakeTable) -> None:
        """A load without a swap is invisible until it is swapped in."""
        store.load(users(), [row(1, 10)])
        assert store.load(users(), [row(1, 11)], swap_in=False) == (2, 1, False)
        assert ages(store, 1) == [10]
        assert store.swap("users") == 2
        assert ages(store, 1) == [11]
        with pytest.raises(UnknownGeneration):
            store.swap("users")

    def test_rollback(self, store: Store, users: MakeTable) -> None:
        """A rollback makes the generation before live, if there is one; a swap undoes it."""
        for age in (10, 11, 12):
            store.load(users(), [row(1, age)])
        assert (store.rollback("users"), ages(store, 1)) == (2, [11])
        assert (store.rollback("users"), ages(store, 1)) == (1, [10])
        with pytest.raises(UnknownGeneration):
            store.rollback("users")
        assert (store.swap("users", 3), ages(store, 1)) == (3, [12])

    def test_index(self, store: Store, users: MakeTable) -> None:
        """A swap uses an index to find the rows that streams wrote; it does not read all rows."""
        for _ in range(2):
            store.load(users(), (row(key, 10) for key in range(2000)))
        engine, seen = store._database._writes, []  # noqa: SLF001
        with engine.connect() as connection:
            postgres = connection.dialect.name == "postgresql"
        sa.event.listen(engine, "before_cursor_execute", lambda *each: seen.append(each[2:4]))
        store.swap("users", 1)
        (copy,) = [each for each in seen if each[0].startswith("INSERT INTO users__g1")]
        with engine.connect() as connection:
            explain = "EXPLAIN" if postgres else "EXPLAIN QUERY PLAN"
            plan = connection.exec_driver_sql(f"{explain} {copy[0]}", copy[1]).all()
        assert "users__g2_epoch" in str(plan)

    def test_another_schema(self, store: Store, users: MakeTable, url: str) -> None:
        """A load may change the columns, even the key's type; a reader of the old ones follows."""
        store.load(users(), [row(1, 10)])
        assert ages(store, 1) == [10]
        with Store(url) as other:
            other.load(users(columns={"id": "text", "size": "integer"}), [{"id": "a", "size": 3}])
        rows = store.get("users", ["a"])
        assert rows.table.columns == {"id": "text", "size": "integer"}
        (found,) = rows.rows
        assert found is not None
        assert found.values == {"size": 3}

    @pytest.mark.parametrize("keep", [0, 1, 2])
    def test_retention(self, store: Store, users: MakeTable, keep: int) -> None:
        """The table's `keep` earlier generations stay; the SQL tables of all others are dropped."""
        for age in range(5):
            store.load(users(keep=keep), [row(1, age)])
        assert states(store) == {5: "live"} | {5 - n: "retired" for n in range(1, keep + 1)}
        names = sa.inspect(store._database._writes).get_table_names()  # noqa: SLF001
        assert sum(name.startswith("users__g") for name in names) == keep + 1

    def test_overlapping_loads(self, store: Store, users: MakeTable) -> None:
        """If two loads overlap, the one that began later stays live, even if it ends first."""

        def slow() -> Iterator[dict[str, Any]]:
            yield row(1, 10)
            assert store.load(users(), [row(1, 20)]) == (2, 1, True)

        assert store.load(users(), slow()) == (1, 1, False)
        assert ages(store, 1) == [20]
        with pytest.raises(UnknownGeneration):
            store.swap("users")  # the one that is ready is older
        assert states(store) == {1: "ready", 2: "live"}
        store.swap("users", 1)
        assert ages(store, 1) == [10]


class TestBadLoads:
    """A load that fails changes nothing, and leaves nothing behind."""

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            ({"id": 2}, "age"),
            ({"id": 2, "age": "3"}, "age"),
            ({"id": "2", "age": 3}, "id"),
            ({"age": 3}, "id"),
            ({"id": 2, "age": float("inf")}, "age"),
            ({"id": 2**64, "age": 1}, "64 bits"),
            (b'{"id": 2, "age": }', "malformed"),
            (b'{"id": 2, "age": NaN}', "malformed"),
            (b"[1]", "array"),
            (b'{"id": 2, "age": 3, "name": "\xff"}', "utf-8"),
        ],
    )
    def test_row(self, store: Store, users: MakeTable, bad: Any, reason: str) -> None:  # noqa: ANN401
        """The error names the line of a row that breaks the schema, and nothing is swapped."""
        store.load(users(), [row(1, 10)])
        with pytest.raises(InvalidRow) as caught:
            store.load(users(), [b'{"id": 1, "age": 11}', b"", bad])
        assert "row 3" in caught.value.message
        assert reason in str(caught.value).lower()
        assert ages(store, 1) == [10]
        assert states(store) == {1: "live"}

    @pytest.mark.parametrize("table", [{}, {"history": True, "time": "at"}])
    def test_repeated(self, store: Store, users: MakeTable, table: dict[str, Any]) -> None:
        """The error names a key that occurs twice."""
        rows = [row(key, 1) | {"at": 1} for key in (*range(20_000), 777)]
        with pytest.raises(RepeatedKey) as caught:
            store.load(users(**table), rows)
        assert "777" in caught.value.message
        with pytest.raises(UnknownTable):
            store.get("users", [1])
        assert store.stats() == []

    def test_dropped_meanwhile(self, store: Store, users: MakeTable) -> None:
        """A load fails if somebody drops its generation meanwhile."""

        def rows() -> Iterator[dict[str, Any]]:
            yield row(1, 10)
            store.drop("users")

        with pytest.raises(LoadLost):
            store.load(users(), rows())
        assert store.stats() == []


class TestUnderLoad:
    """Many readers and writers at once."""

    def test_one_generation(self, store: Store, users: MakeTable) -> None:
        """Each look-up sees one whole generation, while others are swapped in and dropped."""
        keys = list(range(0, 1000, 7))

        def load(age: int) -> None:
            store.load(users(keep=0), (row(key, age) for key in range(1000)))

        load(1)
        done, seen, problems = threading.Event(), set[int](), list[object]()

        def read() -> None:
            last = 0
            while not done.is_set():
                found = store.get("users", keys)
                values = {each and each.values["age"] for each in found.rows}
                if values != {found.generation} or found.generation < last:
                    problems.append((found.generation, last, values))
                last = found.generation
                seen.add(last)

        def guarded() -> None:
            try:
                read()
            except Exception as error:  # noqa: BLE001 - the test fails with it
                problems.append(error)

        readers = [threading.Thread(target=guarded) for _ in range(4)]
        for reader in readers:
            reader.start()
        age = 1
        try:
            while age < 21 or not (len(seen) > 5 or problems):  # the readers have read meanwhile
                age += 1
                load(age)
        finally:
            done.set()
            for reader in readers:
                reader.join()
        assert problems == []

    def test_dropped_while_read(self, store: Store, users: MakeTable, url: str) -> None:
        """Readers of a table that is dropped learn that there is none, until it is loaded again."""
        store.load(users(), [row(1, 10)])
        assert ages(store, 1) == [10]
        with Store(url) as other:
            other.drop("users")
            with pytest.raises(UnknownTable):
                ages(store, 1)
            other.load(users(columns={"age": "number"}), [{"id": "a", "age": 11}])
        (found,) = store.get("users", ["a"]).rows
        assert found is not None
        assert found.values == {"age": 11}
