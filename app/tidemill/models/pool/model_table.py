"""What the processes of a pool know about each model, in memory that they share."""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING

from tidemill.models.host import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Whether processes wish that the server loads a model, so that all of them share its memory.
NO_WISH, WISHED, REFUSED = 0, 1, 2
FIELDS = 4  # of a Usage


class ModelTable:
    """The last use of each model, the wishes to share it, and each process's usage of it."""

    def __init__(self, models: Sequence[str], processes: int) -> None:
        """Make the table for models with these ids, and a number of processes."""
        self._index = {model: index for index, model in enumerate(models)}
        count = max(1, len(models))
        self._wishes = mmap.mmap(-1, count)  # anonymous: needs no file
        self._used = memoryview(mmap.mmap(-1, 8 * count)).cast("d")
        # For each process a row of as many numbers as all models need.
        self._usage = memoryview(mmap.mmap(-1, 8 * FIELDS * count * processes)).cast("d")
        self._row = FIELDS * count
        self._changes = memoryview(mmap.mmap(-1, 8 * processes)).cast("d")
        self._processes = processes

    def touch(self, model: str) -> None:
        """Note that a model is being used."""
        self._used[self._index[model]] = time.monotonic()

    def last_use(self, model: str) -> float:
        """Return the time of `time.monotonic` at which a model was last used; 0 if it never was."""
        return self._used[self._index[model]]

    def wish(self, model: str) -> None:
        """Wish that the server loads a model, unless it has refused to."""
        if self._wishes[self._index[model]] == NO_WISH:
            self._wishes[self._index[model]] = WISHED

    def answer(self, model: str, state: int) -> None:
        """End a wish (NO_WISH), keep it (WISHED), or refuse it for ever (REFUSED)."""
        self._wishes[self._index[model]] = state

    def wishes(self) -> frozenset[str]:
        """Return the models that processes wish to share."""
        return frozenset(
            model for model, index in self._index.items() if self._wishes[index] == WISHED
        )

    def start(self, process: int) -> None:
        """Note that the process with this number has loaded nothing: it is new, or has ended."""
        self._changes[process] += 1
        for index in range(self._row * process + 3, self._row * (process + 1), FIELDS):
            self._usage[index] = 0.0

    def add(self, process: int, usage: Mapping[str, Usage]) -> None:
        """Add what the process with this number did."""
        self._changes[process] += bool(usage)
        for model, more in usage.items():
            first = self._row * process + FIELDS * self._index[model]
            numbers = more.loads, more.evictions, more.seconds, more.bytes
            for index, number in enumerate(numbers, first):
                self._usage[index] += number

    @property
    def version(self) -> int:
        """The number of changes to the usage."""
        return int(sum(self._changes))

    def usage(self) -> dict[str, Usage]:
        """Return what all processes did with each model that any of them loaded."""
        found = {}
        for model, index in self._index.items():
            first, last = FIELDS * index, self._row * self._processes
            loads, evictions, seconds, size = (
                sum(self._usage[field : last : self._row]) for field in range(first, first + FIELDS)
            )
            if loads:
                found[model] = Usage(int(loads), int(evictions), seconds, int(size))
        return found
