"""Make a call every so many seconds, beside what the program does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

import structlog

from tidemill.errors import describe, hint_field

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LONGEST_LINE = 1000


class PeriodicTask:
    """A daemon thread that makes a call at once, and again every so many seconds.

    A slow call skips the ticks that it missed. No exception ends the thread: an outage is logged
    once, as it begins, and once, as it ends.
    """

    def __init__(
        self,
        seconds: float,
        call: Callable[[], object],
        what: str,
        *,
        last: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Take the call and what it does, as a log line goes on after "cannot".

        `last`, which raises nothing, is called once, by the thread, after the last call. `wait`
        waits for some seconds and returns whether to end.
        """
        self._seconds = seconds
        self._call = call
        self._what = what
        self._last = last
        self._clock = clock
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def close(self, timeout: float = 5) -> bool:
        """Stop and join the thread; return whether it ended within `timeout` seconds."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        due = self._clock()
        while True:
            self._try()
            due = next_tick(due, self._seconds, self._clock())
            if self._wait(max(0.0, due - self._clock())):
                break
        self._last()

    def _try(self) -> None:
        try:
            self._call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live
            if not self._failing:
                said = " ".join(describe(error).split())[:LONGEST_LINE]
                log.warning("cannot %s, trying again", self._what, error=said, **hint_field(error))
            self._failing = True
        else:
            if self._failing:
                log.info("can %s again", self._what)
            self._failing = False


def next_tick(due: float, seconds: float, now: float) -> float:
    """Return the first tick after `now` of those that come every so many seconds, one at `due`."""
    return due + seconds * max(1, (now - due) // seconds + 1)
