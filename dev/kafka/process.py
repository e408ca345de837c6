"""Child processes that end when they should: on request, or with the process that started them."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
# Loaded before any fork: a child must not load libraries between fork and exec.
LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


class NotReady(TidemillError):
    """A child process ended, or said nothing in time, before it was ready."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        super().__init__(f"{name} {what}", f"The end of {log} follows.")
        self.add_note(tail(log))


def spawn(
    command: Sequence[str],
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, its output added to a log file.

    Ctrl-C in the terminal does not reach it, so that its owner can stop things in order.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it takes no lock and allocates nothing
        )


def die_with_parent() -> None:
    """Ask the system to kill this process when its parent dies, however it dies (Linux only)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for_line(
    process: subprocess.Popen[bytes],
    log: Path,
    line: str,
    *,
    name: str,
    timeout: float,
    start: int = 0,
) -> None:
    """Wait until a process logs a line that contains `line`, after the byte `start` of its log.

    Raises NotReady where it ends before or takes longer than `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        ended = process.poll()  # before the look: what it logged last must be seen
        with log.open("rb") as file:
            file.seek(start)
            if line.encode() in file.read():
                return
        if ended is not None:
            raise NotReady(name, f"ended with status {ended}", log)
        if time.monotonic() > deadline:
            raise NotReady(name, f"was not ready within {timeout:g} s", log)
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes], patience: float) -> int:
    """End a process: SIGTERM, and SIGKILL after `patience` seconds. Return its exit status."""
    process.terminate()
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log file."""
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])
