"""Measure how fast a batch is, and when it will end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidemill.units import duration, per_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidemill.batch.staging import Receipt

SHOW_EVERY_S = 0.2


class Progress(NamedTuple):
    """How far a batch is.

    Attributes:
        rows: The rows that have an answer.
        dead_letters: Those whose answer is a dead letter.
        share: How much of the input they are, from 0 to 1.

    """

    rows: int
    dead_letters: int
    share: float


def ignore(_: Progress) -> None:
    """Do nothing about the progress."""


class Meter:
    """Count the answered rows, and show the speed and the time left."""

    def __init__(
        self,
        size: int,
        receipts: Iterable[Receipt],
        show: Callable[..., None],
        began: float,
        clock: Callable[[], float],
        *,
        on_progress: Callable[[Progress], None] = ignore,
    ) -> None:
        """Take the size of the input, and the receipts of an earlier run.

        `show` gets the progress in words, `on_progress` in numbers.
        """
        done = list(receipts)
        self.continued = sum(receipt.rows for receipt in done)
        self.first_seconds: float | None = None
        self._size = size
        self._base = sum(receipt.size for receipt in done)
        self._base_dead = sum(sum(receipt.errors.values()) for receipt in done)
        self._show = show
        self._on_progress = on_progress
        self._began = began
        self._clock = clock
        self._first = (0.0, 0, 0)  # when how many rows of which size were first answered
        self._rows = self._done = self._dead = 0
        self._shown = float("-inf")

    def add(self, rows: int, size: int, dead_letters: int = 0) -> None:
        """Count rows that this run has answered."""
        self.total(self._rows + rows, self._done + size, self._dead + dead_letters)

    def total(self, rows: int, size: int, dead_letters: int = 0) -> None:
        """Set how many rows this run has answered so far, their size, and the dead letters."""
        now = self._clock()
        if rows and self.first_seconds is None:
            self.first_seconds = round(now - self._began, 3)
            self._first = (now, rows, size)
        self._rows, self._done, self._dead = rows, size, dead_letters
        if now - self._shown >= SHOW_EVERY_S:
            self.show()

    def show(self) -> None:
        """Show the progress."""
        self._shown = self._clock()
        progress = self._progress()
        self._on_progress(progress)
        self._show("answering", **self._words(progress, self._shown))

    def _progress(self) -> Progress:
        share = min((self._base + self._done) / self._size, 1) if self._size else 0.0
        return Progress(self.continued + self._rows, self._base_dead + self._dead, share)

    def _words(self, progress: Progress, now: float) -> dict[str, str]:
        shown = {"rows": f"{progress.rows:,}"}
        # The first rows had to wait for the models.
        time, rows, size = self._first
        seconds, rows, size = now - time, self._rows - rows, self._done - size
        if rows > 0 and seconds > 0:
            shown["speed"] = f"{per_second(rows / seconds)} rows/s"
        if self._size:
            shown["done"] = f"{progress.share:.0%}"
        if size > 0 and seconds > 0:
            rest = max(self._size - self._base - self._done, 0)
            shown["left"] = duration(rest * seconds / size)
        return shown
