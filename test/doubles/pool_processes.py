"""Find the processes of pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.pipeline.job_process import pool_owner, running_processes

if TYPE_CHECKING:
    from pathlib import Path


def processes(root: Path) -> dict[int, int]:
    """Return the processes of the pools in a folder, and the parent of each."""
    return {
        pid: parent
        for pid, (parent, command) in running_processes().items()
        if pool_owner(command) and str(root) in command
    }
