"""Find the processes of pools, through proc(5)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tidemill.models.pool import server


def processes(root: Path) -> dict[int, int]:
    """Return the processes of the pools in a folder, and the parent of each."""
    parents = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            command = (folder / "cmdline").read_bytes()
            if server.__name__.encode() in command and os.fsencode(root) in command:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    parents[int(folder.name)] = int(stat[1])
    return parents
