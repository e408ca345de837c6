"""List, read and write files on this machine and on the file systems that pyarrow supports."""

from __future__ import annotations

import errno
import os
import re
import stat
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
from pyarrow import fs

from tidemill.batch.paths import local_path, printable
from tidemill.errors import InputUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# How the names of compressed files end.
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
BUFFER_BYTES = 1024 * 1024
MISSING = "there is no such file or folder"
# Spark, Hadoop and Dask write these beside the data; a user does not miss them.
MARKERS = re.compile(r"_SUCCESS|_(committed|started)_.*|_(common_)?metadata|\..*\.crc")
# What a broken file raises while it is read.
BROKEN = (OSError, EOFError, OverflowError, ValueError, zlib.error, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class File:
    """A file of an input, and what tells whether it has changed."""

    path: str
    size: int
    modified: int | None  # nanoseconds since the epoch


@dataclass(frozen=True)
class Storage:
    """The file system of a path or URI. It can be pickled."""

    location: str

    @cached_property
    def filesystem(self) -> fs.FileSystem:
        """The file system in pyarrow's words."""
        return self._located[0]

    @cached_property
    def root(self) -> str:
        """The path on this file system."""
        return self._located[1]

    @cached_property
    def local(self) -> Path | None:
        """The path, if it is on this machine."""
        return local_path(self.location)

    @cached_property
    def _located(self) -> tuple[fs.FileSystem, str]:
        if self.local is not None:
            return fs.LocalFileSystem(), str(self.local)
        filesystem, path = fs.FileSystem.from_uri(self.location.replace("s3a://", "s3://", 1))
        return filesystem, path

    def __reduce__(self) -> tuple[object, ...]:
        return Storage, (self.location,)


def list_files(source: str) -> tuple[list[File], list[str]]:
    """Return the files at a path, which may be a file or folder, and the hidden ones left out.

    Raises:
        InputUnreadable: The input is missing, empty or unreadable.

    """
    storage = Storage(source)
    hidden: list[str] = []
    if storage.local is None:
        found = _list_remote(storage, hidden)
    else:
        if not source:  # it would be the working folder
            raise InputUnreadable("''", MISSING)
        found = list(_walk(storage.local, hidden))
    if not found:
        only = f" but hidden ones ({abbreviate(hidden)})" if hidden else ""
        raise InputUnreadable(source, f"there are no files{only}")
    return found, hidden


@contextmanager
def open_input(
    storage: Storage, path: str, start: int = 0
) -> Iterator[tuple[BinaryIO, pa.NativeFile]]:
    """Open a file of an input: what it holds, decompressed, and the file itself, for its position.

    Raises:
        InputUnreadable: The file cannot be opened, or turns out to be broken while it is read.

    """
    with broken(path), storage.filesystem.open_input_file(path) as raw:
        raw.seek(start)
        kind = compression(path)
        stream: Any = pa.CompressedInputStream(raw, kind) if kind else raw
        yield BufferedReader(stream, BUFFER_BYTES), raw


@contextmanager
def broken(path: str) -> Iterator[None]:
    """Translate what a broken file raises.

    Raises:
        InputUnreadable: It is broken.

    """
    try:
        yield
    except BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputUnreadable(path, reason) from None


def compression(path: str) -> str | None:
    """Return how a file is compressed, by its name."""
    return COMPRESSIONS.get(Path(path).suffix.lower())


def abbreviate(names: Sequence[str]) -> str:
    """List the first three names, and count the rest."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004
    return ", ".join(names[:3]) + more


def is_hidden(name: str) -> bool:
    """Tell whether Spark and pyarrow skip a file or folder of this name in a folder."""
    return (name.startswith("_") and "=" not in name) or name.startswith(".")


def _list_remote(storage: Storage, hidden: list[str]) -> list[File]:
    try:
        info = storage.filesystem.get_file_info(storage.root)
        infos = (
            storage.filesystem.get_file_info(fs.FileSelector(storage.root, recursive=True))
            if info.type == fs.FileType.Directory
            else [info]
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputUnreadable(storage.location, str(error).splitlines()[0]) from None
    if info.type == fs.FileType.NotFound:
        raise InputUnreadable(storage.location, MISSING)
    found = []
    for each in sorted(infos, key=lambda each: each.path):
        if each.type != fs.FileType.File:
            continue
        inner = each.path.removeprefix(storage.root).strip("/").split("/")
        if any(map(is_hidden, inner)) and each is not info:
            hidden.append(each.path)
        else:
            found.append(File(each.path, each.size, each.mtime_ns))
    return found


def _walk(
    path: Path, hidden: list[str], parents: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[File]:
    """Yield a file, or all files below a folder; append to `hidden` those that are left out."""
    try:
        status = path.stat()
        is_folder = stat.S_ISDIR(status.st_mode)
        children = sorted(path.iterdir()) if is_folder else []
    except OSError as error:
        reason = error.strerror
        if isinstance(error, FileNotFoundError):
            reason = "it links to nothing that exists" if path.is_symlink() else MISSING
        raise InputUnreadable(printable(path), reason) from None
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        raise InputUnreadable(printable(path), "it links to a folder that contains it")
    if problem := _problem(path, status.st_mode):
        raise InputUnreadable(printable(path), problem)
    if not is_folder:
        yield File(str(path), status.st_size, status.st_mtime_ns)
    for child in children:
        if not is_hidden(child.name):
            yield from _walk(child, hidden, parents | {identity})
        elif not MARKERS.fullmatch(child.name):
            hidden.append(printable(child))


def _problem(path: Path, mode: int) -> str | None:
    """Return why a file or folder cannot be read, or None if it can."""
    if printable(path) != str(path):
        return "its name is not UTF-8: rename it"
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return "it is neither a file nor a folder"
    return None if os.access(path, os.R_OK) else os.strerror(errno.EACCES)
