"""Call a function periodically in a background thread."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

import structlog

from tidemill.errors import describe, log_fields

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

MAX_LINE = 1000


class PeriodicTask:
    """A daemon thread that calls a function at once, and then periodically.

    A slow call skips the ticks that it missed. No exception ends the thread; an outage is logged
    once when it begins, and once when it ends.
    """

    def __init__(
        self,
        seconds: float,
        call: Callable[[], object],
        description: str,
        *,
        on_close: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Store the call, and `description`, its text in log lines after "cannot".

        The thread calls `on_close`, which must not raise, once after the last call. `wait` waits
        for so many seconds and returns whether to end.
        """
        self._seconds = seconds
        self._call = call
        self._description = description
        self._on_close = on_close
        self._clock = clock
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=description, daemon=True)

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
        self._on_close()

    def _try(self) -> None:
        try:
            self._call()
        except Exception as error:  # noqa: BLE001 - no error may end the thread
            if not self._failing:
                message = describe(error)[:MAX_LINE]
                log.warning(
                    "cannot %s, retrying", self._description, error=message, **log_fields(error)
                )
            self._failing = True
        else:
            if self._failing:
                log.info("can %s again", self._description)
            self._failing = False


def next_tick(due: float, seconds: float, now: float) -> float:
    """Return the first tick after `due` and `now`; ticks are an interval apart, from `due` on."""
    tick = due + seconds * max(1, (now - due) // seconds + 1)
    return tick if tick > now else tick + seconds  # an inexact interval may round down to now
