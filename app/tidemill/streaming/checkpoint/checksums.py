"""Verify a checkpoint against the checksums beside its files."""

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

# Hadoop's checksum files on a local file system (`ChecksumFs`): these four bytes, the block size,
# and the CRC-32 of each block. Other file systems keep their own checksums.
CHECKSUM_FILE = re.compile(r"(?:(.*)/)?\.(metadata|\d+)\.crc")
MAGIC = b"crc\0"


def check(location: str) -> None:
    """Compare the files of a checkpoint with their checksums.

    Spark writes checksums but never reads them: after one wrong digit in the newest offsets, it
    would skip messages, or process some again. Log a warning for each file that cannot be read, and
    check the rest.

    Raises:
        CheckpointDamaged: A file was changed, or is missing.

    """
    try:
        damage = find_damage(*locate(location))
    except UNREADABLE as error:
        log.warning(
            "cannot read the checkpoint, so it is unchecked", location=location, error=str(error)
        )
        return
    if damage:
        raise CheckpointDamaged(location, damage)


def find_damage(filesystem: fs.FileSystem, path: str) -> str | None:
    """Describe the first damage in a checkpoint; return None if there is none.

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

    for checksum_file in filter(None, map(CHECKSUM_FILE.fullmatch, sorted(names))):
        folder, entry = checksum_file.groups()
        name = f"{folder}/{entry}" if folder else entry
        if name in names:
            try:
                matches = compare(read(name), read(checksum_file[0]))
            except UNREADABLE as error:
                log.warning("cannot check a file of the checkpoint", file=name, error=str(error))
                continue
            if matches is None:
                log.warning("a checksum file is torn, so its file is unchecked", file=name)
            elif not matches:
                return f"{name} does not match its checksum"
        # Spark deletes old entries. If it is killed meanwhile, it may leave a checksum file behind.
        elif not entry.isdecimal() or int(entry) > newest_entry(names, folder):
            return f"{name} is missing"
    committed = newest_entry(names, "commits")
    if committed > newest_entry(names, "offsets"):
        return f"offsets/{committed} is missing"
    return None


def newest_entry(names: Iterable[str], folder: str) -> int:
    """Return the number of a log's newest entry, or -1 if it has none."""
    entries = (name.removeprefix(f"{folder}/") for name in names)
    return max((int(entry) for entry in entries if entry.isdecimal()), default=-1)


def compare(content: bytes, checksums: bytes) -> bool | None:
    """Return whether a file matches its checksums; None if the checksum file is torn.

    A power failure may leave a torn checksum file beside an intact file.
    """
    block = int.from_bytes(checksums[4:8], "big")
    header_torn = not checksums.startswith(MAGIC) or not block
    if header_torn or len(checksums) % 4 or (content and not checksums[8:]):
        return None
    crcs = [zlib.crc32(content[start : start + block]) for start in range(0, len(content), block)]
    return checksums[8:] == b"".join(crc.to_bytes(4, "big") for crc in crcs)
