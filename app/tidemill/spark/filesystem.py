"""Access Spark's checkpoint on any file system that pyarrow supports."""

from __future__ import annotations

import re
from pathlib import Path

from pyarrow import ArrowException, fs

from tidemill.errors import CheckpointUnsupported

# These rename atomically. An object store has no rename, but shows an object only when complete.
ATOMIC_RENAME = (fs.LocalFileSystem, fs.HadoopFileSystem)
# Raised if a file system is unknown, unreachable or denies access.
UNREADABLE = (CheckpointUnsupported, OSError, ArrowException)


def locate(location: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a checkpoint location, a path or a URI, and the path in it.

    Raises:
        CheckpointUnsupported: pyarrow does not support such a file system.

    """
    uri = location.rstrip("/").replace("s3a://", "s3://", 1)
    uri = re.sub(r"^file:/(?!/)", "file:///", uri)  # Java's spelling
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


def replace(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    """Write a file atomically: a reader sees the old content or the new, never a part of it.

    Raises:
        OSError, ArrowException: The file cannot be written.

    """
    target = f"{path}.new" if isinstance(filesystem, ATOMIC_RENAME) else path
    with filesystem.open_output_stream(target) as stream:
        stream.write(content)
    if target != path:
        filesystem.move(target, path)
