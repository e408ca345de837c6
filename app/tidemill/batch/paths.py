"""Recognise the paths that are on this machine, and print any of them."""

from __future__ import annotations

import os
import re
from pathlib import Path


def local_path(path: str) -> Path | None:
    """Return a path on this machine, or None if it is on another file system.

    Read a `file:` URI as Hadoop does: the rest is the path, without percent-encoding.
    """
    if match := re.fullmatch(r"(?s)file:(?://(?=/))?(/(?!/).*)", path):
        return Path(match[1])
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path):
        return None
    absolute = Path(path).absolute()
    return absolute.resolve() if ".." in absolute.parts else absolute


def absolute(location: str) -> str:
    """Return a location that other processes understand, whatever their working folder is."""
    is_uri = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", location)
    return location if is_uri or not location else str(local_path(location))


def printable(path: Path) -> str:
    """Return a path as text, with its invalid UTF-8 replaced."""
    return os.fsencode(path).decode(errors="replace")
