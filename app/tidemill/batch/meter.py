"""Measure how fast a batch is, and when it will end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.units import duration, per_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidemill.batch.staging import Receipt

SHOW_EVERY_S = 0.2


class Meter:
    """Count the answered rows, and show the speed and the time left."""

    def __init__(
        self,
        size: int,
        receipts: Iterable[Receipt],
        show: Callable[..., None],
        began: float,
        clock: Callable[[], float],
    ) -> None:
        """Take the size of the input, and the receipts of an earlier run."""
        done = list(receipts)
        self.continued = sum(receipt.rows for receipt in done)
        self.first_seconds: float | None = None
        self._size = size
        self._base = sum(receipt.size for receipt in done)
        self._show = show
        self._began = began
        self._clock = clock
        self._first = (0.0, 0, 0)  # when how many rows of which size were first answered
        self._rows = self._done = 0
        self._shown = float("-inf")

    def add(self, rows: int, size: int) -> None:
        """Count rows that this run has answered."""
        self.total(self._rows + rows, self._done + size)

    def total(self, rows: int, size: int) -> None:
        """Set the numbers of rows and their size that this run has answered so far."""
        now = self._clock()
        if rows and self.first_seconds is None:
            self.first_seconds = round(now - self._began, 3)
            self._first = (now, rows, size)
        self._rows, self._done = rows, size
        if now - self._shown >= SHOW_EVERY_S:
            self.show()

    def show(self) -> None:
        """Show the progress."""
        self._shown = self._clock()
        self._show("answering", **self._progress(self._shown))

    def _progress(self, now: float) -> dict[str, str]:
        shown = {"rows": f"{self.continued + self._rows:,}"}
        # The first rows had to wait for the models.
        time, rows, size = self._first
        seconds, rows, size = now - time, self._rows - rows, self._done - size
        if rows > 0 and seconds > 0:
            shown["speed"] = f"{per_second(rows / seconds)} rows/s"
        done = self._base + self._done
        if self._size:
            shown["done"] = f"{min(done / self._size, 1):.0%}"
        if size > 0 and seconds > 0:
            shown["left"] = duration(max(self._size - done, 0) * seconds / size)
        return shown
