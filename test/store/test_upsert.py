"""Streams write each message once, and no load or rollback loses one."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tidemill.errors import InvalidRow, UnknownTable
from tidemill.store.store import Store
from tidemill.store.table import Table
from tidemill.store.upsert import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEYS = range(4)
SOURCES = [("a", 0), ("a", 1), ("b", 0)]
TABLE = Table("counts", ("id",), {"id": "integer", "value": "integer"}, time="at", keep=100)


def change(offset: int, key: int, value: int, at: int, *, deleted: bool = False) -> Change:
    """Return a change as a message's JSON."""
    row = f'{{"id": {key}, "value": {value}, "at": {at}}}'.encode()
    return Change(offset, row, time=0, deleted=deleted)


class TestUpsert:
    """What a stream writes, it writes once."""

    @pytest.fixture(autouse=True)
    def _table(self, store: Store) -> None:
        """An empty table."""
        store.create(TABLE)

    def value(self, store: Store, key: int) -> int | None:
        """Return the value of a key."""
        (row,) = store.get("counts", [key]).rows
        return row and row.values["value"]

    def test_replay(self, store: Store) -> None:
        """A replay, also with new messages behind it, changes nothing that was written."""
        first = [change(5, 1, 10, 100), change(7, 1, 11, 100)]
        assert store.upsert("counts", first, ("a", 0)) == 2
        assert store.upsert("counts", first, ("a", 0)) == 0
        assert store.upsert("counts", [*first, change(8, 2, 20, 100)], ("a", 0)) == 1
        assert (self.value(store, 1), self.value(store, 2)) == (11, 20)
        assert store.position("counts", ("a", 0)) == 9
        assert store.position("counts", ("a", 1)) == 0

    def test_later_wins(self, store: Store) -> None:
        """The later time wins, whichever comes first; at the same time, the larger offset."""
        store.upsert("counts", [change(0, 1, 10, 100)], ("a", 0))
        store.upsert("counts", [change(0, 1, 20, 50)], ("b", 0))
        assert self.value(store, 1) == 10
        store.upsert("counts", [change(1, 1, 30, 100)], ("a", 0))
        assert self.value(store, 1) == 30

    def test_deleted(self, store: Store) -> None:
        """A key that was deleted is gone, and an older message does not bring it back."""
        store.upsert("counts", [change(0, 1, 10, 100)], ("a", 0))
        store.upsert("counts", [Change(1, {"id": 1, "at": 200}, 0, deleted=True)], ("a", 0))
        assert self.value(store, 1) is None
        store.upsert("counts", [change(0, 1, 20, 150)], ("b", 0))
        assert self.value(store, 1) is None

    def test_bad_row(self, store: Store) -> None:
        """A row that breaks the schema is named by its offset; nothing of its batch is written."""
        bad = Change(42, b'{"id": 1, "value": "x", "at": 1}', 0)
        with pytest.raises(InvalidRow) as caught:
            store.upsert("counts", [change(41, 1, 1, 1), bad], ("a", 0))
        assert "42" in caught.value.message
        assert store.position("counts", ("a", 0)) == 0
        assert self.value(store, 1) is None

    def test_unknown(self, store: Store) -> None:
        """A table that was not created is an error."""
        with pytest.raises(UnknownTable):
            store.upsert("nothing", [change(0, 1, 1, 1)], ("a", 0))

    def test_load_meanwhile(self, store: Store) -> None:
        """What a stream writes during a load is there after it, but not what it wrote before."""
        store.upsert("counts", [change(0, 1, 10, 100), change(1, 2, 20, 100)], ("a", 0))

        def rows() -> Iterator[bytes]:
            yield b'{"id": 3, "value": 30, "at": 50}'
            store.upsert("counts", [change(2, 2, 21, 100), change(3, 3, 31, 60)], ("a", 0))

        store.load(TABLE, rows())
        assert [self.value(store, key) for key in (1, 2, 3)] == [None, 21, 31]

    def test_rollback(self, store: Store) -> None:
        """A rollback keeps what the stream has written since."""
        store.upsert("counts", [change(0, 1, 10, 100)], ("a", 0))
        store.load(TABLE, [{"id": 1, "value": 50, "at": 500}])
        store.upsert("counts", [change(1, 2, 20, 100)], ("a", 0))
        store.rollback("counts")
        assert [self.value(store, key) for key in (1, 2)] == [10, 20]

    def test_at_once(self, store: Store, url: str) -> None:
        """Three partitions and two replays of one write the same keys at once; each counts once."""
        written = [0] * 5
        rng = random.Random(1)  # noqa: S311 - not for secrets
        batches = {
            source: [
                [change(50 * n + k, rng.choice(KEYS), k, rng.randrange(9)) for k in range(50)]
                for n in range(6)
            ]
            for source in SOURCES
        }

        def write(worker: int, source: tuple[str, int]) -> None:
            with Store(url) as own:
                for batch in batches[source]:
                    written[worker] += own.upsert("counts", batch, source)

        sources = [*SOURCES, SOURCES[0], SOURCES[0]]
        threads = [threading.Thread(target=write, args=pair) for pair in enumerate(sources)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert written[0] + written[3] + written[4] == written[1] == written[2] == 300


class Row(NamedTuple):
    """A row of the model: the order of rows is which one is the latest."""

    at: int
    source: str
    offset: int
    value: int | None
    epoch: int


class Generations(RuleBasedStateMachine):
    """Loads, streams, replays, swaps and rollbacks, beside dictionaries."""

    url: str
    make_url: Callable[[], str]

    def __init__(self) -> None:
        """Begin with an empty database."""
        super().__init__()
        self.store = Store(type(self).make_url())
        self.generations: dict[int, dict[int, Row]] = {}
        self.swapped: set[int] = set()
        self.live = 0
        self.newest = 0
        self.sent: dict[tuple[str, int], list[Change]] = {source: [] for source in SOURCES}

    def teardown(self) -> None:
        """Close the connections."""
        self.store.close()

    def merge(self, number: int, key: int, row: Row) -> None:
        """Keep the later row."""
        rows = self.generations[number]
        rows[key] = max(row, rows[key], key=lambda r: r[:3]) if key in rows else row

    def make_live(self, number: int) -> None:
        """Carry over what streams wrote since the generation began to load."""
        for other in self.swapped - {number}:
            for key, row in self.generations[other].items():
                if row.source and row.epoch >= number:
                    self.merge(number, key, row)
        self.live = number
        self.swapped.add(number)

    def send(self, source: tuple[str, int], messages: list[tuple[int, int, int | None]]) -> None:
        """Send new messages of a partition, after some that were sent before."""
        sent = self.sent[source]
        new: list[Change] = []
        for key, at, value in messages:
            offset = len(sent) + len(new)
            new.append(change(offset, key, value or 0, at, deleted=value is None))
            row = Row(at, "{}/{}".format(*source), offset, value, self.newest)
            self.merge(self.live, key, row)
        assert self.store.upsert("counts", sent[-3:] + new, source) == len(new)
        sent += new

    messages = st.lists(
        st.tuples(st.sampled_from(KEYS), st.integers(0, 5), st.none() | st.integers(0, 99)),
        max_size=4,
    )
    rows = st.dictionaries(st.sampled_from(KEYS), st.tuples(st.integers(0, 5), st.integers(0, 99)))

    @initialize(rows=rows)
    def first_load(self, rows: dict[int, tuple[int, int]]) -> None:
        """Load a table."""
        self.load(rows, SOURCES[0], [], swap_in=True)

    @rule(rows=rows, source=st.sampled_from(SOURCES), messages=messages, swap_in=st.booleans())
    def load(
        self,
        rows: dict[int, tuple[int, int]],
        source: tuple[str, int],
        messages: list[tuple[int, int, int | None]],
        *,
        swap_in: bool,
    ) -> None:
        """Load while a stream writes."""
        self.newest += 1
        number = self.newest

        def loading() -> Iterator[dict[str, Any]]:
            for key, (at, value) in rows.items():
                yield {"id": key, "value": value, "at": at}
            if self.live:
                self.send(source, messages)

        loaded = self.store.load(TABLE, loading(), swap_in=swap_in or not self.live)
        assert loaded.generation == number
        self.generations[number] = {k: Row(at, "", -1, v, 0) for k, (at, v) in rows.items()}
        if loaded.live:
            self.make_live(number)

    @rule(source=st.sampled_from(SOURCES), messages=messages)
    def stream(self, source: tuple[str, int], messages: list[tuple[int, int, int | None]]) -> None:
        """Write from a stream."""
        self.send(source, messages)

    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        """Make any generation live."""
        number = data.draw(st.sampled_from(sorted(self.generations)))
        assert self.store.swap("counts", number) == number
        if number != self.live:
            self.make_live(number)

    @precondition(lambda self: any(number < self.live for number in self.swapped))
    @rule()
    def rollback(self) -> None:
        """Go back to the generation that was live before."""
        number = max(number for number in self.swapped if number < self.live)
        assert self.store.rollback("counts") == number
        self.make_live(number)

    @invariant()
    def same_rows(self) -> None:
        """The store has what the model has."""
        if not self.live:
            return
        found = self.store.get("counts", list(KEYS))
        rows = self.generations[self.live]
        assert found.generation == self.live
        assert [(row.time, row.values["value"]) if row else None for row in found.rows] == [
            (rows[key].at, rows[key].value) if key in rows and rows[key].value is not None else None
            for key in KEYS
        ]


def test_any_order(request: pytest.FixtureRequest, make_url: Callable[[], str]) -> None:
    """Whatever happens in whatever order, the store agrees with a model of a few dictionaries."""
    machine = type("Machine", (Generations,), {"make_url": staticmethod(make_url)})
    examples = 15 if make_url().startswith("sqlite") else 8
    # To shrink a failure would take minutes.
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=12, deadline=None, phases=phases
        ),
    )
