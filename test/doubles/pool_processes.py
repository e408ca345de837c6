"""Find the processes of pools."""

from __future__ import annotations

from pathlib import Path

from dev.pipeline.job_process import pool_owner, running_processes


def processes(root: Path) -> dict[int, int]:
    """Return the processes of the pools in a folder, and the parent of each."""
    return {
        pid: parent
        for pid, (parent, command) in running_processes().items()
        if pool_owner(command) and str(root) in command
    }


def server_of(root: Path) -> int:
    """Return the process that the others were forked from."""
    running = processes(root)
    return next(pid for pid, parent in running.items() if parent not in running)


def modes(root: Path) -> set[str]:
    """Return the modes in which servers, and processes forked from them, run."""
    commands = [Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in processes(root)]
    return {mode for mode in ("shared", "separate") for command in commands if mode in command}
