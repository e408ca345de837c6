"""Start child processes that end with their parent, and stop them."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Final

from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Lets the kernel kill a child when its parent dies (Linux only). A `preexec_fn` could do the same,
# but then Python forks, and gRPC's threads, which know of forks, may abort the child.
SETPRIV: Final = shutil.which("setpriv")
WITH_PARENT: Final = (SETPRIV, "--pdeathsig=KILL", "--") if SETPRIV else ()


class NotReady(TidemillError):
    """A child process ended or took too long before it was ready."""

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
    """Start a command in its own session, and append its output to a log file.

    Ctrl-C in the terminal does not reach it, so its parent can stop processes in order.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [*WITH_PARENT, *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


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

    Raises:
        NotReady: It ended before, or took longer than `timeout` seconds.

    """
    deadline = time.monotonic() + timeout
    while True:
        ended = process.poll()  # before reading, so that its last lines are read
        with log.open("rb") as file:
            file.seek(start)
            if line.encode() in file.read():
                return
        if ended is not None:
            raise NotReady(name, f"ended with status {ended}", log)
        if time.monotonic() > deadline:
            raise NotReady(name, f"was not ready within {timeout:g} s", log)
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes], timeout: float) -> int:
    """Stop a process with SIGTERM, after the timeout with SIGKILL; return its exit status."""
    process.terminate()
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log file."""
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])
