"""What Spark's checkpoint says, read on any file system that pyarrow reaches."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from pyarrow import ArrowException, fs

from app.errors import CheckpointUnsupported
from app.monitoring.progress import Progress

if TYPE_CHECKING:
    from app.monitoring.progress import Offsets

log = structlog.get_logger(__name__)

# What is no file system, no access, or not what Spark writes.
UNREADABLE = (CheckpointUnsupported, OSError, ArrowException, ValueError, TypeError, AttributeError)


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


def is_used(location: str) -> bool:
    """Tell whether a query has begun on this checkpoint; where nobody can tell, that none has."""
    try:
        filesystem, path = locate(location)
        offsets = fs.FileSelector(f"{path}/offsets", allow_not_found=True)
        return any(info.base_name.isdecimal() for info in filesystem.get_file_info(offsets))
    except UNREADABLE as error:
        log.debug("the checkpoint was not read", error=repr(error))
        return False


def finished(location: str) -> Progress | None:
    """Return the newest micro-batch that is in the commit log, with its end offsets; None: none.

    For those who watch only: what cannot be read is none, and the log says so at level DEBUG.
    """
    try:
        filesystem, path = locate(location)
        commits = fs.FileSelector(f"{path}/commits", allow_not_found=True)
        names = [info.base_name for info in filesystem.get_file_info(commits)]
        newest = max((int(name) for name in names if name.isdecimal()), default=None)
        if newest is None:
            return None
        with filesystem.open_input_stream(f"{path}/offsets/{newest}") as stream:
            return Progress(newest, offsets=read_offsets(stream.read().decode()))
    except UNREADABLE as error:
        log.debug("the checkpoint's offsets were not read", error=repr(error))
        return None


def read_offsets(entry: str) -> Offsets:
    """Return the offsets of all Kafka sources in an entry of Spark's offset log.

    After the log's version and a line about the micro-batch there is a line for each source, "-"
    where it had nothing yet (`OffsetSeqLog` of Spark).
    """
    lines = [line for line in entry.splitlines()[2:] if line != "-"]
    return {
        (topic, int(partition)): int(offset)
        for line in lines
        for topic, partitions in json.loads(line).items()
        for partition, offset in partitions.items()
    }
