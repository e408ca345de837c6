"""Find the processes of pools."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.pipeline.job_process import pool_owner, running_processes

if TYPE_CHECKING:
    from collections.abc import Callable


def processes(root: Path) -> dict[int, int]:
    """Return the processes of all pools in a folder, each with its parent."""
    return {
        pid: parent
        for pid, (parent, command) in running_processes().items()
        if pool_owner(command) and str(root) in command
    }


def server_of(root: Path) -> int:
    """Return the server of the one pool in a folder: its parent is not in the pool."""
    running = processes(root)
    return next(pid for pid, parent in running.items() if parent not in running)


def modes(root: Path) -> set[str]:
    """Return the modes that the pools in a folder run in: `shared`, `separate` or both."""
    commands = [Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in processes(root)]
    return {mode for mode in ("shared", "separate") for command in commands if mode in command}


def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until a condition holds; fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
