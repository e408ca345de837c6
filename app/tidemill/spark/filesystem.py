"""Where Spark's checkpoint is, on any file system that pyarrow reaches."""

from __future__ import annotations

import re
from pathlib import Path

from pyarrow import ArrowException, fs

from tidemill.errors import CheckpointUnsupported

# Their rename is atomic. An object store has none, and shows a new object when it is complete.
RENAMING = (fs.LocalFileSystem, fs.HadoopFileSystem)
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


def replace(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    """Write a file so that others see the old content or the new one, and nothing in between.

    Raises:
        OSError, ArrowException: It cannot be written.

    """
    into = f"{path}.new" if isinstance(filesystem, RENAMING) else path
    with filesystem.open_output_stream(into) as stream:
        stream.write(content)
    if into != path:
        filesystem.move(into, path)
