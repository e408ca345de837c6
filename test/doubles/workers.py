"""Let workers of long tasks work until something has happened, here or as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_S = 200.0
POLL_S = 0.05


def until(condition: Callable[[], object], *steps: Callable[[], object]) -> None:
    """Wait until a condition is true; meanwhile do something again and again, such as a step."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        for step in steps:
            step()
        if not steps:
            time.sleep(POLL_S)


def is_alive(process: int) -> bool:
    """Return whether a process runs, and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text("utf-8")
    except FileNotFoundError:
        return False


@contextmanager
def programs(config: Path, log: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Yield what starts `tidemill task work`, and kill those that are left."""
    started: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-m", "tidemill", "task", "work", "-c", str(config)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            started.append(subprocess.Popen(command, env=environment, stdout=file, stderr=file))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
