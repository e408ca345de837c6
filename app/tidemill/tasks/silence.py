"""Find out which runs have lost their worker, without comparing clocks of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Sign = tuple[int, int]  # the attempt and the beat of a run


class Silence:
    """Measures for how long runs have shown no sign of life, while this observer was looking.

    It needs only durations of its own machine. A pause between two looks counts for little: this
    process may have been stopped, or the database away, and then others could not show signs.
    """

    def __init__(self, seconds: float, most_per_look: float) -> None:
        """Take a run for lost after some seconds, of which one look adds at most some."""
        self._seconds = seconds
        self._most = most_per_look
        self._last: float | None = None
        self._seen: dict[str, tuple[Sign, float]] = {}

    def look(self, running: Mapping[str, Sign], now: float) -> list[str]:
        """Take note of all running runs; return those that are lost. `now` is monotonic."""
        passed = 0.0 if self._last is None else min(now - self._last, self._most)
        self._last = now
        seen = {}
        for run, sign in running.items():
            before, silent = self._seen.get(run, (None, 0.0))
            seen[run] = sign, silent + passed if sign == before else 0.0
        self._seen = seen
        return [run for run, (_, silent) in seen.items() if silent >= self._seconds]
