"""Time: rows that expire, and rows of an earlier time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.errors import InvalidKey, NoHistory, TooManyKeys
from tidemill.store.store import Store
from tidemill.store.upsert import Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.store.table import Table

    MakeTable = Callable[..., Table]

COLUMNS = {"id": "integer", "price": "number"}


def prices(store: Store, *pairs: tuple[int, int]) -> list[float | None]:
    """Return the prices of pairs of a key and a time."""
    return [row and row.values["price"] for row in store.as_of("users", pairs).rows]


class TestTtl:
    """A row is found until it is too old."""

    def test_expires(self, url: str, users: MakeTable) -> None:
        """A row is missing from one millisecond after its time to live."""
        now = 10_000
        with Store(url, clock=lambda: now) as store:
            rows = [{"id": 1, "age": 30, "at": 5_000}, {"id": 2, "age": 40, "at": 9_000}]
            store.load(users(time="at", ttl=5), rows)
            assert [row and row.time for row in store.get("users", [1, 2]).rows] == [5_000, 9_000]
            now = 10_001
            assert [row and row.time for row in store.get("users", [1, 2]).rows] == [None, 9_000]
            (only,) = store.get("users", [1]).rows
            assert only is None

    @pytest.mark.parametrize(
        ("written", "ms"),
        [
            (1_795_585_741_593, 1_795_585_741_593),
            ("2026-11-25T05:49:01.593Z", 1_795_585_741_593),
            ("2026-11-25T06:49:01.593+01:00", 1_795_585_741_593),
            ("2026-11-25T05:49:01.593", 1_795_585_741_593),
            (-1, -1),
        ],
    )
    def test_forms(self, store: Store, users: MakeTable, written: Any, ms: int) -> None:  # noqa: ANN401
        """A time is milliseconds, or ISO 8601, which without a zone is UTC."""
        store.load(users(time="at"), [{"id": 1, "age": 30, "at": written}])
        (row,) = store.get("users", [1]).rows
        assert row is not None
        assert row.time == ms
        assert "at" not in row.values


class TestHistory:
    """A table with history has a row of a key for each time."""

    @pytest.fixture
    def table(self, users: MakeTable) -> Table:
        """A table with history."""
        return users(columns=COLUMNS, time="at", history=True)

    def test_as_of(self, store: Store, table: Table) -> None:
        """The latest row until a time counts, that time included."""
        store.load(table, [{"id": 1, "price": n, "at": n * 10} for n in (1, 2, 3)])
        pairs = [(1, 9), (1, 10), (1, 19), (1, 20), (2, 20), (1, 10**30), (1, -(10**30))]
        assert prices(store, *pairs) == [None, 1, 1, 2, None, 3, None]
        (now,) = store.get("users", [1]).rows
        assert now is not None
        assert now.values == {"price": 3}

    def test_future(self, url: str, table: Table) -> None:
        """`get` does not see rows of the future."""
        with Store(url, clock=lambda: 25) as store:
            store.load(table, [{"id": 1, "price": n, "at": n * 10} for n in (1, 2, 3)])
            (row,) = store.get("users", [1]).rows
            assert row is not None
            assert row.time == 20

    def test_stream(self, store: Store, table: Table) -> None:
        """A late message takes its place in the past; a deletion ends a key from its time on."""
        store.load(table, [{"id": 1, "price": 1, "at": 10}, {"id": 1, "price": 3, "at": 30}])
        late = Change(0, {"id": 1, "price": 2, "at": 20}, 0)
        store.upsert("users", [late, Change(1, {"id": 1, "at": 40}, 0, deleted=True)], ("a", 0))
        assert prices(store, (1, 10), (1, 20), (1, 30), (1, 40)) == [1, 2, 3, None]

    def test_ttl(self, store: Store, users: MakeTable) -> None:
        """A row is too old for a time if it was so then."""
        table = users(columns=COLUMNS, time="at", history=True, ttl=0.005)
        store.load(table, [{"id": 1, "price": 1, "at": 10}])
        assert prices(store, (1, 15), (1, 16)) == [1, None]

    def test_refused(self, store: Store, users: MakeTable, table: Table) -> None:
        """Without history there is no earlier time; wrong and too many keys are refused as ever."""
        store.load(users(), [])
        with pytest.raises(NoHistory):
            store.as_of("users", [(1, 1)])
        store.load(table, [])
        assert prices(store) == []
        with pytest.raises(InvalidKey):
            store.as_of("users", [("a", 1)])
        with pytest.raises(TooManyKeys):
            store.as_of("users", [(1, 1)] * 1001)

    @settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_any(self, store: Store, users: MakeTable, data: st.DataObject) -> None:
        """A thousand pairs have the answers that a search through all rows gives."""
        table = users(columns={"id": "text", "price": "number"}, time="at", history=True)
        keys, times = st.sampled_from(["a", "b", "c"]), st.integers(0, 20)
        written = data.draw(st.dictionaries(st.tuples(keys, times), st.integers(0, 9)))
        store.load(table, [{"id": key, "price": p, "at": at} for (key, at), p in written.items()])
        pairs = data.draw(st.lists(st.tuples(keys, times), max_size=20)) * 40
        expected = [
            max(
                ((at, p) for (k, at), p in written.items() if k == key and at <= time), default=None
            )
            for key, time in pairs
        ]
        found = store.as_of("users", pairs).rows
        assert [row and (row.time, row.values["price"]) for row in found] == expected
