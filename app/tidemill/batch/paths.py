"""Recognise the paths that are on this machine, and print any of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

# If one of these is set, a path without a scheme may be on Hadoop's default file system.
HADOOP_VARIABLES = {"HADOOP_CONF_DIR", "YARN_CONF_DIR", "DATABRICKS_RUNTIME_VERSION"}


def local_path(path: str) -> Path | None:
    """Return a path on this machine, or None if it is on another file system.

    Read a `file:` URI as Hadoop does: the rest is the path, without percent-encoding.
    """
    if match := re.fullmatch(r"(?s)file:(?://(?=/))?(/(?!/).*)", path):
        return Path(match[1])
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) or HADOOP_VARIABLES & os.environ.keys():
        return None
    absolute = Path(path).absolute()
    return absolute.resolve() if ".." in absolute.parts else absolute


def printable(path: Path) -> str:
    """Return a path as text, with its invalid UTF-8 replaced."""
    return os.fsencode(path).decode(errors="replace")
