"""Where Spark's checkpoint is, on any file system that pyarrow reaches."""

from __future__ import annotations

import re
from pathlib import Path

from pyarrow import ArrowException, fs

from app.errors import CheckpointUnsupported

# No such file system, no connection to it, or no access.
UNREADABLE = (CheckpointUnsupported, OSError, ArrowException)


def locate(location: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a checkpoint location, a path or a URI, and the path in it.

    Raises:
        CheckpointUnsupported: pyarrow knows no such file system.

    """
    uri = location.rstrip("/").replace("s3a://", "s3://", 1)
    uri = re.sub(r"^file:/(?!/)", "file:///", uri)  # Java's way to write it
    is_uri = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", uri)
    try:
        filesystem, path = fs.FileSystem.from_uri(uri if is_uri else str(Path(uri).absolute()))
    except (OSError, ValueError) as error:
        raise CheckpointUnsupported(location, error) from None
    return filesystem, str(path)


def is_local(location: str) -> bool:
    """Tell whether a checkpoint location is on this machine."""
    try:
        return isinstance(locate(location)[0], fs.LocalFileSystem)
    except CheckpointUnsupported:
        return False
