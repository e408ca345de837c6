"""Check a batch's input and output before Spark starts, which takes a while."""

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

from tidemill.errors import InputUnreadable, OutputExists, OutputUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# With one of these, a path without a scheme may lie on another file system than this machine's.
ELSEWHERE = {"HADOOP_CONF_DIR", "YARN_CONF_DIR", "DATABRICKS_RUNTIME_VERSION"}
# What Spark, Hadoop and Dask write beside the data; nobody misses it.
MARKERS = re.compile(r"_SUCCESS|_(committed|started)_.*|_(common_)?metadata|\..*\.crc")
MISSING = "there is no such file or folder"


@dataclass(frozen=True, slots=True)
class Source:
    """An input that is there: its path, whether it is Parquet, and which names Spark skips.

    `path` is None if only Spark can look at the input; the rest is not known then.
    """

    given: str
    path: Path | None = None
    parquet: bool | None = None
    hidden: tuple[str, ...] = ()

    @contextmanager
    def readable(self) -> Iterator[str]:
        """Yield the path for Spark; a file whose own name Spark does not read gets a link to it."""
        if self.path is None:
            yield self.given
        elif self.path.is_dir() or not (is_hidden(self.path.name) or ":" in self.path.name):
            yield f"file:{self.path}"
        else:
            with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
                name = self.path.name.lstrip("_.").removesuffix("._COPYING_").replace(":", "-")
                link = Path(folder, name or "input")
                link.symlink_to(self.path)
                yield f"file:{link}"


def find_source(given: str) -> Source:
    """Return the input; look at it if it is on this machine.

    Raises:
        InputUnreadable: It is missing, empty, unreadable or of two kinds, or Spark would silently
            skip or repeat a part of it.

    """
    path = local(given)
    if path is None:
        return Source(given)
    if not given:  # which would be the working folder
        raise InputUnreadable("''", MISSING)
    hidden: list[str] = []
    names = [file.name for file in _files(path, hidden)]
    if not names:
        said = f" but hidden ones ({some(hidden)}), which Spark skips" if hidden else ""
        raise InputUnreadable(given, f"there are no files{said}")
    return Source(given, path, is_parquet(given, names), tuple(hidden))


def check_output(source: str, target: str) -> None:
    """Look at the output's place if it is on this machine; Spark looks at others.

    Raises:
        OutputExists: There is something already.
        OutputUnusable: It would lie within the input, or may not be written.

    """
    output, given = local(target), local(source)
    if output is None:
        return
    if not target or os.path.lexists(output):
        raise OutputExists(target or "''")
    above = next(folder for folder in output.parents if os.path.lexists(folder))
    if not above.is_dir():
        raise OutputUnusable(target, f"{above} is no folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputUnusable(target, f"no permission to write in {above}")
    if given and given.is_dir() and above.resolve().is_relative_to(given.resolve()):
        raise OutputUnusable(target, "it is within the input, and the next run would read it")


def local(path: str) -> Path | None:
    """Return the path on this machine; None for another file system's.

    A `file:` URI is taken as Hadoop takes it: what follows is the path, without percent-encoding.
    """
    if found := re.fullmatch(r"(?s)file:(?://(?=/))?(/(?!/).*)", path):
        return Path(found[1])
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) or ELSEWHERE & os.environ.keys():
        return None
    absolute = Path(path).absolute()
    return absolute.resolve() if ".." in absolute.parts else absolute


def is_parquet(given: str, names: Iterable[str]) -> bool:
    """Tell by the names of the files.

    Raises:
        InputUnreadable: There are files of both kinds, or none.

    """
    kinds = {name.lower().endswith(".parquet") for name in names}
    if not kinds:
        raise InputUnreadable(given, "there are no files")
    if len(kinds) > 1:
        raise InputUnreadable(given, "some files are Parquet and some are not: give one kind")
    return kinds.pop()


def some(names: Sequence[str]) -> str:
    """List names, but not too many."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004
    return ", ".join(names[:3]) + more


def is_hidden(name: str) -> bool:
    """Tell whether Spark skips such a file, or folder, within a folder."""
    return (
        (name.startswith("_") and "=" not in name)  # `_k=v` is a partition
        or name.startswith(".")
        or name.endswith("._COPYING_")
    )


def _files(
    path: Path, hidden: list[str], above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[Path]:
    """Yield a file, or the files below a folder; note the names of those that Spark skips."""
    try:
        status = path.stat()
        is_folder = stat.S_ISDIR(status.st_mode)
        children = sorted(path.iterdir()) if is_folder else []
    except OSError as error:
        reason = error.strerror
        if isinstance(error, FileNotFoundError):  # in a folder Spark would skip such a link
            reason = "it links to nothing that exists" if path.is_symlink() else MISSING
        raise InputUnreadable(_shown(path), reason) from None
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # Spark would read its files about 40 times
        raise InputUnreadable(_shown(path), "it links to a folder that contains it")
    if problem := _problem(path, status.st_mode, by_name=not above):
        raise InputUnreadable(_shown(path), problem)
    if not is_folder:
        yield path
    for child in children:
        if not is_hidden(child.name):
            yield from _files(child, hidden, above | {identity})
        elif not MARKERS.fullmatch(child.name):
            hidden.append(_shown(child))


def _problem(path: Path, mode: int, *, by_name: bool) -> str | None:
    """Return why Java cannot read a file or folder, None if it can."""
    if _shown(path) != str(path):
        return "its name is not UTF-8: rename it"
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return "it is neither a file nor a folder"
    if ":" in path.name and not by_name:
        return "Hadoop reads no file with ':' in its name: rename it"
    return None if os.access(path, os.R_OK) else os.strerror(errno.EACCES)


def _shown(path: Path) -> str:
    """Return a path that can be printed, whatever bytes it has."""
    return os.fsencode(path).decode(errors="replace")
