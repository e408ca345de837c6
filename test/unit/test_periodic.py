from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from clock import Clock
from structlog.testing import capture_logs

from tidemill.periodic import PeriodicTask, next_tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATIENCE = 60


class WaitingClock(Clock):
    """A clock that moves when the task waits; it asks the task to end after some waits."""

    def __init__(self, waits: int) -> None:
        super().__init__(100.0)
        self._waits = waits

    def wait(self, seconds: float) -> bool:
        """Let time pass."""
        self.now += seconds
        self._waits -= 1
        return self._waits <= 0


def run(
    call: Callable[[], object], clock: WaitingClock, last: Callable[[], object] = lambda: None
) -> None:
    """Run a task every 10 s until the clock asks it to end."""
    task = PeriodicTask(10, call, "ask", on_close=last, clock=clock, wait=clock.wait).start()
    task._thread.join(PATIENCE)  # noqa: SLF001 - it ends by itself
    assert task.close(PATIENCE)


def log_lines(results: Iterable[Exception | None]) -> list[tuple[str, str]]:
    """Return the level and event of each log line, for calls with these results."""
    left = list(results)
    clock = WaitingClock(waits=len(left))

    def call() -> None:
        if (result := left.pop(0)) is not None:
            raise result

    with capture_logs() as logs:
        run(call, clock)
    return [(line["log_level"], line["event"]) for line in logs]


class TestTicks:
    """Calls happen at a steady pace."""

    def test_at_once(self) -> None:
        """The first call happens at once, the others at their ticks, however long a call takes."""
        clock = WaitingClock(waits=4)
        times: list[float] = []

        def call() -> None:
            times.append(clock.now)
            clock.now += 3

        run(call, clock)
        assert times == [100, 110, 120, 130]

    def test_slow_call(self) -> None:
        """A slow call skips the ticks that it missed."""
        clock = WaitingClock(waits=3)
        times: list[float] = []

        def call() -> None:
            times.append(clock.now)
            clock.now += 25

        run(call, clock)
        assert times == [100, 130, 160]

    @pytest.mark.parametrize(
        ("now", "tick"), [(0, 10), (9.9, 10), (10, 20), (25, 30), (-3, 10), (30, 40)]
    )
    def test_next_tick(self, now: float, tick: float) -> None:
        """The next tick is after now, a whole number of intervals after the last one."""
        assert next_tick(0, 10, now) == tick

    def test_fraction(self) -> None:
        """An interval that is inexact in binary never gives a tick that is over."""
        for step in range(1000):
            assert next_tick(0, 0.1, step * 0.1) > step * 0.1


class TestOutage:
    """A failed call is repeated at the next tick, and its outage is logged once."""

    def test_one_outage(self) -> None:
        """A line is logged when an outage begins, and one when it ends."""
        failed = OSError("away")
        assert log_lines([None, failed, failed, failed, None, None]) == [
            ("warning", "cannot ask, retrying"),
            ("info", "can ask again"),
        ]

    def test_two_outages(self) -> None:
        """Each outage has its own lines."""
        failed = OSError("away")
        assert (
            log_lines([failed, None, failed, None])
            == [
                ("warning", "cannot ask, retrying"),
                ("info", "can ask again"),
            ]
            * 2
        )

    def test_no_outage(self) -> None:
        """Without an outage, nothing is logged."""
        assert log_lines([None, None]) == []

    def test_to_the_end(self) -> None:
        """An outage that lasts until the end is not logged as ended."""
        assert len(log_lines([OSError("away")] * 3)) == 1

    def test_one_line(self) -> None:
        """The reason is one line of limited length."""

        def call() -> None:
            raise ValueError("a\nb" + "c" * 10_000)

        with capture_logs() as logs:
            run(call, WaitingClock(waits=1))
        assert logs[0]["error"].startswith("ValueError: a bccc")
        assert len(logs[0]["error"]) == 1000


class TestClose:
    """The task closes promptly and in order."""

    def test_last(self) -> None:
        """`on_close` is called once after the last call, on the same thread."""
        order: list[tuple[str, str]] = []

        def note(what: str) -> Callable[[], None]:
            return lambda: order.append((what, threading.current_thread().name))

        run(note("call"), WaitingClock(waits=2), last=note("last"))
        assert order == [("call", "ask"), ("call", "ask"), ("last", "ask")]

    def test_in_a_pause(self) -> None:
        """Closing interrupts a wait."""
        called = threading.Event()
        task = PeriodicTask(3600, called.set, "ask").start()
        assert called.wait(PATIENCE)
        assert task.close(PATIENCE)

    def test_hanging_call(self) -> None:
        """Closing waits for a hung call until its timeout; `on_close` still follows the call."""
        entered, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def call() -> None:
            entered.set()
            go_on.wait(PATIENCE)

        task = PeriodicTask(3600, call, "ask", on_close=ended.set).start()
        assert entered.wait(PATIENCE)
        assert not task.close(timeout=0.05)
        assert not ended.is_set()
        go_on.set()
        assert task.close(PATIENCE)
        assert ended.is_set()

    def test_never_started(self) -> None:
        """A task that was never started counts as ended."""
        assert PeriodicTask(1, int, "ask").close()

    def test_daemon(self) -> None:
        """The thread does not keep the program running."""
        assert PeriodicTask(1, int, "ask")._thread.daemon  # noqa: SLF001 - it has no public property
