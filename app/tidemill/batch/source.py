"""Inspect a batch's input before Spark starts, which takes a while."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.batch.paths import local_path, printable
from tidemill.errors import InputUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Make Spark read all files below a folder, and take a path literally. `_files` does the same.
READ_OPTIONS = {"recursiveFileLookup": "true", "__globPaths__": "false"}
# Spark, Hadoop and Dask write these beside the data; a user does not miss them.
MARKERS = re.compile(r"_SUCCESS|_(committed|started)_.*|_(common_)?metadata|\..*\.crc")
MISSING = "there is no such file or folder"


@dataclass(frozen=True, slots=True)
class Source:
    """An input that exists: its path, whether it is Parquet, and the files that Spark skips.

    `local` is the path on this machine; if it is None, only Spark can inspect the input, and the
    rest is unknown.
    """

    path: str
    local: Path | None = None
    parquet: bool | None = None
    hidden: tuple[str, ...] = ()

    @contextmanager
    def readable(self) -> Iterator[str]:
        """Yield the path for Spark: a link to the file, if Spark would skip a file of that name."""
        if self.local is None:
            yield self.path
        elif self.local.is_dir() or not (is_hidden(self.local.name) or ":" in self.local.name):
            yield f"file:{self.local}"
        else:
            with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
                name = self.local.name.lstrip("_.").removesuffix("._COPYING_").replace(":", "-")
                link = Path(folder, name or "input")
                link.symlink_to(self.local)
                yield f"file:{link}"


def find_source(path: str) -> Source:
    """Return the input at a path, inspected if it is on this machine.

    Raises:
        InputUnreadable: The input is missing, empty, unreadable or of two formats, or Spark would
            silently skip or repeat a part of it.

    """
    local = local_path(path)
    if local is None:
        return Source(path)
    if not path:  # it would be the working folder
        raise InputUnreadable("''", MISSING)
    hidden: list[str] = []
    names = [file.name for file in _files(local, hidden)]
    if not names:
        only = f" but hidden ones ({abbreviate(hidden)}), which Spark skips" if hidden else ""
        raise InputUnreadable(path, f"there are no files{only}")
    return Source(path, local, is_parquet(path, names), tuple(hidden))


def is_parquet(path: str, names: Iterable[str]) -> bool:
    """Tell whether an input is Parquet, by the names of its files.

    Raises:
        InputUnreadable: There are no files, or some are Parquet and some are not.

    """
    formats = {name.lower().endswith(".parquet") for name in names}
    if not formats:
        raise InputUnreadable(path, "there are no files")
    if len(formats) > 1:
        raise InputUnreadable(path, "some files are Parquet and some are not: give one kind")
    return formats.pop()


def abbreviate(names: Sequence[str]) -> str:
    """List the first three names, and count the rest."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004
    return ", ".join(names[:3]) + more


def is_hidden(name: str) -> bool:
    """Tell whether Spark skips a file or folder of this name when it reads the folder around it."""
    return (
        (name.startswith("_") and "=" not in name)  # `_k=v` is a partition
        or name.startswith(".")
        or name.endswith("._COPYING_")
    )


def _files(
    path: Path, hidden: list[str], parents: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[Path]:
    """Yield a file, or all files below a folder; append to `hidden` those that Spark skips."""
    try:
        status = path.stat()
        is_folder = stat.S_ISDIR(status.st_mode)
        children = sorted(path.iterdir()) if is_folder else []
    except OSError as error:
        reason = error.strerror
        if isinstance(error, FileNotFoundError):  # Spark would skip a dangling link in a folder
            reason = "it links to nothing that exists" if path.is_symlink() else MISSING
        raise InputUnreadable(printable(path), reason) from None
    identity = (status.st_dev, status.st_ino)
    if identity in parents:  # Spark would read its files about 40 times
        raise InputUnreadable(printable(path), "it links to a folder that contains it")
    if problem := _problem(path, status.st_mode, in_folder=bool(parents)):
        raise InputUnreadable(printable(path), problem)
    if not is_folder:
        yield path
    for child in children:
        if not is_hidden(child.name):
            yield from _files(child, hidden, parents | {identity})
        elif not MARKERS.fullmatch(child.name):
            hidden.append(printable(child))


def _problem(path: Path, mode: int, *, in_folder: bool) -> str | None:
    """Return why Java cannot read a file or folder, or None if it can."""
    if printable(path) != str(path):
        return "its name is not UTF-8: rename it"
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return "it is neither a file nor a folder"
    if ":" in path.name and in_folder:
        return "Hadoop cannot read a file with ':' in its name: rename it"
    return None if os.access(path, os.R_OK) else os.strerror(errno.EACCES)
