"""Check a batch's output before the models are loaded."""

from __future__ import annotations

import os

from tidemill.batch.paths import local_path
from tidemill.errors import OutputExists, OutputUnusable


def check_output(source: str | None, target: str) -> None:
    """Check that a new folder can be created at `target`, if that is on this machine.

    Raises:
        OutputExists: There is already a file or folder.
        OutputUnusable: The folder would be within the input, or may not be created.

    """
    output, given = local_path(target), source and local_path(source)
    if output is None:
        return
    if not target or os.path.lexists(output):
        raise OutputExists(target or "''")
    parent = next(folder for folder in output.parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise OutputUnusable(target, f"{parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputUnusable(target, f"no permission to write in {parent}")
    if given and given.is_dir() and parent.resolve().is_relative_to(given.resolve()):
        raise OutputUnusable(target, "it is within the input, and the next run would read it")
