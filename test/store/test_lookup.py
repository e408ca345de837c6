"""Look-ups find the rows of keys, in their order."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import InvalidKey, InvalidRow, TooManyKeys, UnknownTable
from tidemill.store.upsert import Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.store.store import Store
    from tidemill.store.table import Key, Table


class TestGet:
    """`get` returns a row, or None, for each key."""

    def test_order(self, store: Store, users: Callable[..., Table]) -> None:
        """Rows come in the order of the keys, with None for a miss, and twice for a key twice."""
        store.load(users(), [{"id": key, "age": key / 2} for key in range(2000)])
        keys = [1999, -1, 7, 7, *range(996)]
        found = store.get("users", keys)
        ages = [row and row.values["age"] for row in found.rows]
        assert ages == [key / 2 if key >= 0 else None for key in keys]
        assert found.generation == 1

    @pytest.mark.parametrize("keys", [[], [1], [0, 1]])
    def test_number_of_keys(
        self, store: Store, users: Callable[..., Table], keys: list[Key]
    ) -> None:
        """No key, one key and several take different ways to the same answer."""
        store.load(users(), [{"id": 1, "age": 30}])
        found = store.get("users", keys).rows
        assert [row and row.data for row in found] == [
            '{"age":30,"name":null}' if key else None for key in keys
        ]

    def test_too_many(self, store: Store, users: Callable[..., Table]) -> None:
        """More than 1,000 keys are refused, with their number."""
        store.load(users(), [])
        with pytest.raises(TooManyKeys) as caught:
            store.get("users", list(range(10_000)))
        assert "10000 keys" in caught.value.message

    @pytest.mark.parametrize("key", ["1", True, 1.0, None, 2**63, [1], b"1"])
    def test_wrong_type(self, store: Store, users: Callable[..., Table], key: Key) -> None:
        """A key of another type is an error that names it, also beside right ones."""
        store.load(users(), [{"id": 1, "age": 30}])
        with pytest.raises(InvalidKey) as caught:
            store.get("users", [1, key])
        assert repr(key) in caught.value.message

    @pytest.mark.parametrize("name", ["any_table", "x_any_table_0", "select", "order"])
    def test_name(self, store: Store, users: Callable[..., Table], name: str) -> None:
        """A table may have the name of a word of SQL, or one like another name of the store."""
        store.load(users(name=name), [{"id": 1, "age": 30}])
        (row,) = store.get(name, [1]).rows
        assert row is not None

    def test_unknown_table(self, store: Store, users: Callable[..., Table]) -> None:
        """A table that does not exist is an error, in an empty database and in another one."""
        with pytest.raises(UnknownTable):
            store.get("users", [1])
        store.load(users(), [])
        with pytest.raises(UnknownTable) as caught:
            store.get("'; DROP TABLE users__g1; --", [1])
        assert "users" in caught.value.hint
        with pytest.raises(UnknownTable):
            store.get("users\0", [1])


class TestText:
    """Text keys may hold anything that both databases can keep."""

    HOSTILE = (
        "",
        "' OR 1=1 --",
        '"; DROP TABLE users__g1; --',
        "%(keys)s ? :keys %s",
        "\\N",
        "a\tb\nc\\d\r",
        "null",
        '["a"]',
        "é",
        "e\u0301",
        "𐍈",
        "\ufeff",
        "x" * 2000,
    )

    def test_hostile(self, store: Store, users: Callable[..., Table]) -> None:
        """SQL, escapes and odd characters in keys and values come back as they were."""
        table = users(columns={"age": "integer", "name": "text"})
        store.load(table, [{"id": k, "age": n, "name": k} for n, k in enumerate(self.HOSTILE)])
        found = store.get("users", self.HOSTILE).rows
        assert [row and row.values for row in found] == [
            {"age": number, "name": key} for number, key in enumerate(self.HOSTILE)
        ]
        for key in self.HOSTILE:
            (row,) = store.get("users", [key]).rows
            assert row is not None
            assert row.values["name"] == key

    @pytest.mark.parametrize("key", ["a\0b", "\ud800", 1, "x" * 2001, "é" * 1001])
    def test_impossible(self, store: Store, users: Callable[..., Table], key: Key) -> None:
        """A key that no database could hold is refused by name, before the database sees it."""
        store.load(users(columns={"age": "integer"}), [])
        with pytest.raises(InvalidKey):
            store.get("users", [key])

    def test_longest(self, store: Store, users: Callable[..., Table]) -> None:
        """The longest key fits into the index, though nothing compresses it; a longer one is bad.

        A stream would wait for ever for a database that refuses a row.
        """
        key = Random(1).randbytes(1000).hex()  # noqa: S311 - the same each time
        table = users(columns={"age": "integer"}, history=True)
        store.load(table, [{"id": key, "age": 1}])
        assert store.get("users", [key]).rows[0] is not None
        with pytest.raises(InvalidRow):
            store.upsert("users", [Change(0, {"id": key + "x", "age": 1}, 0)], ("a", 0))

    def test_composite(self, store: Store, users: Callable[..., Table]) -> None:
        """A key of several columns never equals another key, however its parts are split."""
        table = users(key=("a", "b", "id"), columns={"id": "integer", "age": "integer"})
        keys: list[Key] = [("x", "y,", 1), ("x,", "y", 1), ('x","', "y", 1), ("x", "y,", 11)]
        rows = [
            {"a": key[0], "b": key[1], "id": key[2], "age": n}  # type: ignore[index]
            for n, key in enumerate(keys)
        ]
        store.load(table, rows)
        found = store.get("users", keys).rows
        assert [row and row.values for row in found] == [{"age": n} for n in range(len(keys))]
        with pytest.raises(InvalidKey):
            store.get("users", [("x", "y,")])
