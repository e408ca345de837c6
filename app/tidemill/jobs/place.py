"""Check the paths that clients send, before a task is accepted."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import AfterValidator, Field

PLACE = re.compile(r"(?:(jsonl|csv|parquet|delta):)?(.*)", re.DOTALL)
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
MAX_CHARS = 1000


class Parts(NamedTuple):
    """The format that a client names, if any, and the path."""

    format: str | None
    path: str


def split(place: str) -> Parts:
    """Split `FORMAT:PATH`, as `tidemill batch` does, but never into a topic."""
    matched = PLACE.fullmatch(place)
    return Parts(matched[1], matched[2]) if matched else Parts(None, place)


def check(place: str) -> str:
    """Return a place whose path is relative, and has no part that begins with a dot.

    Raises:
        ValueError: It is something else, so a task with it is not accepted.

    """
    path = split(place).path
    if SCHEME.match(path):
        raise ValueError("the format must be jsonl, csv, parquet or delta")
    if not path or not path.isprintable():
        raise ValueError("the path must be printable")
    if path.startswith("/") or any(part.startswith(".") for part in PurePosixPath(path).parts):
        raise ValueError("the path must be relative, and no part of it may begin with a dot")
    return place


Place: TypeAlias = Annotated[str, Field(max_length=MAX_CHARS), AfterValidator(check)]
