"""Read a file of JSON lines, a line at a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tidemill.errors import InputUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file; `-` is the standard input.

    Raises:
        InputUnreadable: It cannot be read.

    """
    try:
        if str(path) == "-":
            yield from sys.stdin.buffer
            return
        with path.open("rb") as lines:
            yield from lines
    except OSError as error:
        hint = "Name a file of JSON lines, or - for the standard input."
        raise InputUnreadable(path, error.strerror, hint) from None
