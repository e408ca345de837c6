"""The formats of inputs and outputs; a new one is a file with some of these functions."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

import structlog

from tidemill.batch.formats import delimited, delta, json_lines, parquet, written
from tidemill.batch.paths import absolute
from tidemill.batch.plan import KAFKA, Source
from tidemill.batch.storage import COMPRESSIONS, Storage, abbreviate, list_files
from tidemill.errors import InputUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tidemill.batch.block import Block, Part
    from tidemill.batch.plan import Piece
    from tidemill.batch.staging import Staging
    from tidemill.batch.storage import File
    from tidemill.inference.message import Message, Outcome

log = structlog.get_logger(__name__)


def leave_as_is(_: Staging) -> None:
    """Publish the files as the workers wrote them."""


@dataclass(frozen=True, slots=True)
class Format:
    """How an input is read and an output is written.

    Attributes:
        plan: Returns the source and its pieces; each is about as large as the number of bytes, or a
            whole file if that is None.
        read: Yields the rows of a piece, always in the same blocks.
        encode: Returns a part's results and dead letters as the contents of two files.
        suffix: The end of the names of the files with results.
        finish: Completes the output before it is published, in one process.
        by_offset: Whether sizes are numbers of offsets. Then each piece is a split, and one that
            was answered in part continues at its next offset.
        limit: Returns the outcome that the output accepts in place of one that it does not.

    """

    plan: Callable[[str, int | None], tuple[Source, Iterable[Piece]]]
    read: Callable[[Source, Piece], Iterator[Block]]
    encode: Callable[[Part], tuple[bytes, bytes]]
    suffix: str
    finish: Callable[[Staging], None] = leave_as_is
    by_offset: bool = False
    limit: Callable[[Message, Outcome], Outcome] | None = None


def plan_files(
    name: str,
    cut: Callable[[Storage, File, int | None], Iterator[Piece]],
    location: str,
    size: int | None,
) -> tuple[Source, Iterator[Piece]]:
    """Return the files at a location, cut into pieces.

    Raises:
        InputUnreadable: There are none, or one cannot be read.

    """
    location = absolute(location)
    files, hidden = list_files(location)
    if hidden:
        log.warning(
            "skipped hidden files and folders, whose names begin with _ or .",
            count=len(hidden),
            skipped=abbreviate(hidden),
        )
    listed = "\n".join(f"{file.size} {file.modified} {file.path}" for file in files)
    source = Source(name, location, fingerprint=hashlib.sha256(listed.encode()).hexdigest())
    storage = Storage(location)
    return source, (piece for file in files for piece in cut(storage, file, size))


FORMATS = {
    "jsonl": Format(
        partial(plan_files, "jsonl", json_lines.cut), json_lines.read, json_lines.encode, ".jsonl"
    ),
    "csv": Format(
        partial(plan_files, "csv", delimited.cut),
        delimited.read,
        partial(parquet.encode, typed=False),
        ".parquet",
        written.finish_csv,
    ),
    "parquet": Format(
        partial(plan_files, "parquet", parquet.cut),
        parquet.read,
        parquet.encode,
        ".parquet",
        written.finish_parquet,
    ),
    "delta": Format(delta.plan, delta.read, parquet.encode, ".parquet", delta.finish),
}
SUFFIXES = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}


def parse(text: str) -> tuple[str | None, str]:
    """Split `FORMAT:PLACE` into the format, or None if there is none, and the place."""
    name, colon, place = text.partition(":")
    return (name, place) if colon and name in {*FORMATS, KAFKA} else (None, text)


def detect(location: str) -> str:
    """Return the format of an input, by the names of its files.

    Raises:
        InputUnreadable: There are no files, or they have several formats.

    """
    storage = Storage(location)
    if storage.local is not None and (storage.local / "_delta_log").is_dir():
        return "delta"
    files, _ = list_files(location)
    found = {_format_of(file.path) for file in files}
    if len(found) > 1:
        hint = "Name a folder with one kind of files. csv:FOLDER reads all of its files as CSV."
        raise InputUnreadable(location, f"there are files of {' and '.join(sorted(found))}", hint)
    return found.pop()


def _format_of(path: str) -> str:
    name = PurePath(path).name.lower()
    name = re.sub("|".join(f"{re.escape(suffix)}$" for suffix in COMPRESSIONS), "", name)
    return SUFFIXES.get(PurePath(name).suffix, "jsonl")
