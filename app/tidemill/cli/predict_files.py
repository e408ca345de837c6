"""Open the files of `tidemill predict`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tidemill.errors import InputUnreadable, OutputUnusable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


def open_input(path: Path) -> BinaryIO:
    """Open the input.

    Raises:
        InputUnreadable: It cannot be read.

    """
    try:
        return path.open("rb")
    except OSError as error:
        hint = "Name a file of JSON lines with --input."
        raise InputUnreadable(path, error.strerror, hint) from None


def open_outputs(
    files: ExitStack, output: Path | None, dead_letters: Path | None, *, resume: bool
) -> list[BinaryIO | None]:
    """Open the outputs that are named: new files, or also those of an earlier run.

    Raises:
        OutputUnusable: One cannot be opened. The other is not created either.

    """
    opened: list[BinaryIO | None] = []
    with ExitStack() as undo:
        for path, option in ((output, "--output"), (dead_letters, "--dead-letters")):
            if path is None:
                opened.append(None)
                continue
            is_new = not path.exists()
            opened.append(files.enter_context(_open(path, option, resume=resume)))
            if is_new:
                undo.callback(path.unlink)
        undo.pop_all()
    return opened


def check_different(lines: BinaryIO, output: Path, dead_letters: Path) -> None:
    """Check that the input and both outputs are three files.

    Raises:
        OutputUnusable: They are fewer.

    """
    for path in (output, dead_letters):
        if path.exists() and os.path.samestat(path.stat(), os.fstat(lines.fileno())):
            hint = "Name another file; --input is the file to read."
            raise OutputUnusable(path, "it is the input", hint)
    if output.resolve() == dead_letters.resolve():
        hint = "Name two files: --output and --dead-letters."
        raise OutputUnusable(output, "results and dead letters need a file each", hint)


def read_token(path: Path) -> str:
    """Return the token in a file, without white space around it.

    Raises:
        InputUnreadable: The file cannot be read.

    """
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        hint = "Name the file of a token with --token-file."
        raise InputUnreadable(path, error, hint) from None


def _open(path: Path, option: str, *, resume: bool) -> BinaryIO:
    try:
        return path.open("ab" if resume else "xb")
    except OSError as error:
        hint = f"Name a new file with {option}."
        if isinstance(error, FileExistsError):
            hint += " To continue an earlier run with the same files, add --resume."
        raise OutputUnusable(path, error.strerror, hint) from None
