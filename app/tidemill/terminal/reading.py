"""Show on a terminal how much of a file has been read."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO


@contextmanager
def reading(source: BinaryIO, console: Console | None = None) -> Iterator[BinaryIO]:
    """Yield a file; if it has a size, and standard error is a terminal, show a bar there."""
    console = console or Console(stderr=True)
    found = os.fstat(source.fileno())
    if not console.is_terminal or not stat.S_ISREG(found.st_mode):
        yield source
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("predicting", total=found.st_size or None)
        yield Watched(source, lambda size: bar.advance(task, size))  # type: ignore[misc]


class Watched:
    """A file whose reads are reported."""

    def __init__(self, source: BinaryIO, on_read: Callable[[int], None]) -> None:
        """Take the file, and what gets the number of bytes of each read."""
        self._source = source
        self._on_read = on_read
        self._last = 0

    def read1(self, size: int) -> bytes:
        """Read; what was read before has been processed by now."""
        self._on_read(self._last)
        chunk: bytes = self._source.read1(size)  # type: ignore[attr-defined]
        self._last = len(chunk)
        return chunk
