"""Kill the programs that tasks have started, if the worker is killed before it can do so.

The kernel ends only the tasks' own processes then. So another process lives beside the worker: it
reads from a pipe which process groups there are, and kills them when the pipe is closed. It needs
only the standard library, so that it is small.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache


class Reaper:
    """The process that outlives this one, and then kills some process groups."""

    def __init__(self) -> None:
        """Start the process, in a session of its own, so that what is sent to ours spares it."""
        command = [sys.executable, "-I", "-S", __file__]
        theirs, self._pipe = os.pipe()
        try:
            self._process = subprocess.Popen(command, stdin=theirs, start_new_session=True)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        atexit.register(self._forget)

    def add(self, group: int) -> None:
        """Kill a process group if this process ends."""
        self._write(f"+{group}\n")

    def remove(self, group: int) -> None:
        """Forget a group that has ended: its number may be another's later."""
        self._write(f"-{group}\n")

    def _write(self, line: str) -> None:
        with suppress(BrokenPipeError):  # somebody has killed it; tasks run without it, too
            os.write(self._pipe, line.encode())

    def _forget(self) -> None:
        """Forget the process, which ends after this one: Python would warn that it still runs."""
        self._process.returncode = self._process.poll() or 0


@cache
def reaper() -> Reaper:
    """Return the reaper of this process, which ends with it."""
    return Reaper()


def main() -> None:
    """Wait until standard input is closed, and kill the groups that are left."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)  # a service that stops may send these to all processes
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(group)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
