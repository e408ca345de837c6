"""A clock for tests, in place of `time.time` or `time.monotonic`."""

from __future__ import annotations


class Clock:
    """A clock that moves only when a test sets `now`, and by `step` at each reading."""

    def __init__(self, now: float = 1000.0, *, step: float = 0.0) -> None:
        self.now = now
        self._step = step

    def __call__(self) -> float:
        """Return the time."""
        now = self.now
        self.now += self._step
        return now

    def monotonic(self) -> float:
        """Return the time, for code that calls `time.monotonic`."""
        return self()
