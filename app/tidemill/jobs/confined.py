"""Confine the paths that clients send to the folder that a job names."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from tidemill.errors import InputUnreadable, OutputUnusable

PLACE = re.compile(r"(?:(jsonl|csv|parquet|delta):)?(.*)", re.DOTALL)
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
MAX_CHARS = 1000
LEADS_OUT = "it leads out of the job's folder"
INPUT_HINT = "Name a file or folder within the job's folder of inputs."
OUTPUT_HINT = "Name a new folder within the job's folder of outputs."


def split(place: str) -> tuple[str | None, str]:
    """Split `FORMAT:PATH` into the format, or None if there is none, and the path."""
    matched = PLACE.fullmatch(place)
    return (matched[1], matched[2]) if matched else (None, place)


def check(place: str) -> str:
    """Return a place whose path is relative, and has no part that begins with a dot.

    Raises:
        PydanticCustomError: It is something else, so a task with it is not accepted.

    """
    _, path = split(place)
    if URI.match(path):
        raise PydanticCustomError("path", "the format must be jsonl, csv, parquet or delta")
    if not path or not path.isprintable():
        raise PydanticCustomError("path", "the path must be printable")
    if path.startswith("/") or any(part.startswith(".") for part in PurePosixPath(path).parts):
        raise PydanticCustomError(
            "path", "the path must be relative, and no part of it may begin with a dot"
        )
    return place


Place: TypeAlias = Annotated[str, Field(max_length=MAX_CHARS), AfterValidator(check)]


def readable(folder: str, path: str) -> Path:
    """Return where a path within a folder of inputs leads.

    Raises:
        InputUnreadable: There is nothing, or a link leads out of the folder.

    """
    from tidemill.batch.storage import MISSING, list_files  # noqa: PLC0415 - an extra

    root = Path(folder).resolve()
    found = _resolved(root / path)
    if found is None or not found.is_relative_to(root):
        raise InputUnreadable(path, LEADS_OUT, INPUT_HINT)
    if not found.exists():
        raise InputUnreadable(path, MISSING, INPUT_HINT)
    log = found / "_delta_log"  # which counts as hidden
    for part in (found, log) if log.exists() else (found,):
        for file in list_files(str(part))[0]:
            if not Path(file.path).resolve().is_relative_to(root):
                reason = "a link in it leads out of the job's folder"
                raise InputUnreadable(path, reason, INPUT_HINT)
    return found


def writable(folder: str, path: str) -> Path:
    """Return where a path within a folder of outputs leads.

    Raises:
        OutputUnusable: A link leads out of the folder, or the path is the folder itself.

    """
    root = Path(folder).resolve()
    found = _resolved(root / path)
    if found is None or root not in found.parents:
        raise OutputUnusable(path, LEADS_OUT, OUTPUT_HINT)
    return found


def _resolved(path: Path) -> Path | None:
    """Return a path without links, or None if it has none or cannot exist."""
    try:
        found = path.resolve()
        os.lstat(found)
    except FileNotFoundError:
        return found
    except (OSError, RuntimeError, ValueError):  # a name too long, links in a circle
        return None
    return found
