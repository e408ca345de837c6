"""Whether a checkpoint is as Spark wrote it."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import structlog
from pyarrow import fs

from tidemill.errors import CheckpointDamaged
from tidemill.spark.filesystem import UNREADABLE, locate

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

# What Hadoop puts beside a file on a local file system (`ChecksumFs`): these four bytes, the size
# of a block, the CRC-32 of each. Other file systems have sums of their own.
SUMS = re.compile(r"(?:(.*)/)?\.(metadata|\d+)\.crc")
MAGIC = b"crc\0"


def check(location: str) -> None:
    """Compare a checkpoint with the checksums in it.

    Spark writes these and does not read them: one wrong digit in its newest offsets, and it would
    pass over messages, or answer some again. A warning names what cannot be read, and the rest is
    checked all the same.

    Raises:
        CheckpointDamaged: A file is not as it was written, or is missing.

    """
    try:
        found = damage(*locate(location))
    except UNREADABLE as error:
        log.warning("cannot read the checkpoint, it goes unchecked", at=location, error=str(error))
        return
    if found:
        raise CheckpointDamaged(location, found)


def damage(filesystem: fs.FileSystem, path: str) -> str | None:
    """Say what is wrong with a checkpoint; None: nothing.

    Raises:
        OSError, ArrowException: The folder cannot be read.

    """
    tree = fs.FileSelector(path, recursive=True, allow_not_found=True)
    names = {
        info.path.removeprefix(f"{path}/")
        for info in filesystem.get_file_info(tree)
        if info.type == fs.FileType.File
    }

    def read(name: str) -> bytes:
        with filesystem.open_input_stream(f"{path}/{name}") as stream:
            return bytes(stream.read())

    for sums in filter(None, map(SUMS.fullmatch, sorted(names))):
        folder, entry = sums.groups()
        name = f"{folder}/{entry}" if folder else entry
        if name in names:
            try:
                matches = compare(read(name), read(sums[0]))
            except UNREADABLE as error:
                log.warning("cannot check a file of the checkpoint", file=name, error=str(error))
                continue
            if matches is None:
                log.warning("torn checksums in the checkpoint, a file goes unchecked", file=name)
            elif not matches:
                return f"{name} does not match its checksum"
        # Spark removes old entries, and one that is killed may leave the sums of one.
        elif not entry.isdecimal() or int(entry) > newest(names, folder):
            return f"{name} is missing"
    if (done := newest(names, "commits")) > newest(names, "offsets"):
        return f"offsets/{done} is missing"
    return None


def newest(names: Iterable[str], folder: str) -> int:
    """Return the number of a log's newest entry, -1 where it has none."""
    entries = (name.removeprefix(f"{folder}/") for name in names)
    return max((int(entry) for entry in entries if entry.isdecimal()), default=-1)


def compare(content: bytes, sums: bytes) -> bool | None:
    """Return whether a file matches its checksums; None if they are torn and say nothing.

    A power failure leaves torn ones beside files that are whole.
    """
    block = int.from_bytes(sums[4:8], "big")
    if not sums.startswith(MAGIC) or not block or len(sums) % 4 or (content and not sums[8:]):
        return None
    crcs = [zlib.crc32(content[at : at + block]) for at in range(0, len(content), block)]
    return sums[8:] == b"".join(crc.to_bytes(4, "big") for crc in crcs)
