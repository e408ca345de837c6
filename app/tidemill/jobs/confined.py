"""Confine paths that clients send to the folders of a job, also if these have links."""

from __future__ import annotations

from pathlib import Path

from tidemill.batch.staging import SUMMARY
from tidemill.batch.storage import MISSING, list_files
from tidemill.errors import InputUnreadable, OutputUnusable

LEADS_OUT = "it leads out of the job's folder"
LINK_LEADS_OUT = "a link in it leads out of the job's folder"
INPUT_HINT = "Name a file or folder within the job's folder of inputs."
OUTPUT_HINT = "Name a new folder within the job's folder of outputs."


def readable(folder: str, path: str) -> Path:
    """Return where a path within a folder of inputs leads.

    Raises:
        InputUnreadable: There is nothing, or a link leads out of the folder.

    """
    root = Path(folder).resolve()
    try:
        found = _resolved(root, path)
    except ValueError as error:
        raise InputUnreadable(path, error, INPUT_HINT) from None
    if not found.exists():
        raise InputUnreadable(path, MISSING, INPUT_HINT)
    log = found / "_delta_log"  # which counts as hidden
    for part in (found, log) if log.exists() else (found,):
        for file in list_files(str(part))[0]:
            if not Path(file.path).resolve().is_relative_to(root):
                raise InputUnreadable(path, LINK_LEADS_OUT, INPUT_HINT)
    return found


def writable(folder: str, path: str) -> Path:
    """Return where a path within a folder of outputs leads.

    Raises:
        OutputUnusable: A link leads out of the folder, or the path is the folder itself, or is
            within an output, whose readers would read the new files, too.

    """
    root = Path(folder).resolve()
    try:
        found = _resolved(root, path)
    except ValueError as error:
        raise OutputUnusable(path, error, OUTPUT_HINT) from None
    if found == root:
        raise OutputUnusable(path, "it is the job's folder itself", OUTPUT_HINT)
    between = (each for each in found.parents if each.is_relative_to(root) and each != root)
    if any((each / SUMMARY).exists() for each in between):
        raise OutputUnusable(path, "it is within the output of another run", OUTPUT_HINT)
    return found


def _resolved(root: Path, path: str) -> Path:
    """Return where a path leads if all links are followed; it need not exist.

    Raises:
        ValueError: It leads out of the folder, or nowhere.

    """
    try:
        found = (root / path).resolve()
        found.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a name too long
        raise ValueError(error.strerror) from None
    except RuntimeError:
        raise ValueError("its links lead in a circle") from None
    if not found.is_relative_to(root):
        raise ValueError(LEADS_OUT)
    return found
