from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.batch.meter import Meter
from tidemill.batch.plan import Plan, Source
from tidemill.batch.staging import Receipt
from tidemill.batch.summary import add_up

if TYPE_CHECKING:
    from clock import Clock


class Shown(list[dict[str, Any]]):
    """Keep what is shown."""

    def __call__(self, _: str, **progress: str) -> None:
        """Keep it."""
        self.append(progress)


class TestMeter:
    """Show the speed of this run, and the time that it needs for what an earlier one has left."""

    def test_speed_and_time_left(self, clock: Clock) -> None:
        """What an earlier run and the first block have answered does not count for the speed."""
        shown = Shown()
        earlier = [Receipt(100, 250, {}, {}), Receipt(0, 0, {}, {})]
        meter = Meter(1000, earlier, shown, clock(), clock)
        clock.now += 20.0
        meter.add(50, 125)
        assert shown[-1] == {"rows": "150", "done": "38%"}
        assert (meter.continued, meter.first_seconds) == (100, 20.0)
        clock.now += 2.0
        meter.add(50, 125)
        assert shown[-1] == {"rows": "200", "speed": "25 rows/s", "done": "50%", "left": "8.0 s"}

    def test_not_too_often(self, clock: Clock) -> None:
        """A line that changes with every block could not be read."""
        shown = Shown()
        meter = Meter(1000, [], shown, clock(), clock)
        for _ in range(100):
            clock.now += 0.01
            meter.add(1, 1)
        assert 4 <= len(shown) <= 6

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 9))))
    def test_sane(self, steps: list[tuple[int, int, float]]) -> None:
        """No input makes a share beyond 100% or a negative time, even one of unknown size."""
        shown, times = Shown(), iter([0.0, *(time for *_, time in steps)])
        now = 0.0

        def clock() -> float:
            nonlocal now
            now += next(times, 0.0)
            return now

        meter = Meter(20, [], shown, 0.0, clock)
        for rows, size, _ in steps:
            meter.add(rows, size)
        for progress in shown:
            assert int(progress["done"].rstrip("%")) <= 100
            assert not progress.get("left", "").startswith("-")


def test_summary() -> None:
    """Numbers of all parts add up; messages that no model matches are skipped."""
    plan = Plan(Source("jsonl", "in", warnings=["w"]), [], ("csv", "out"), "", 1, "id")
    receipts = [
        Receipt(5, 1, {"a:1": 2}, {"InvalidJson": 1}),
        Receipt(3, 1, {"a:1": 1, "b:1": 1}, {"InvalidJson": 1}),
        Receipt(0, 0, {}, {}),
    ]
    summary = add_up(plan, receipts, "local", continued=3, first_seconds=1, seconds=2.0)
    assert (summary.messages, summary.results, summary.dead_letters, summary.skipped) == (
        8,
        4,
        2,
        2,
    )
    assert summary.models == {"a:1": 3, "b:1": 1}
    assert (summary.input, summary.output, summary.warnings) == ("jsonl:in", "csv:out", ["w"])
    assert summary.rate == 2.5
