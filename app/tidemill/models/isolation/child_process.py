"""Start a process that loads and calls models, and exchange frames with it."""

from __future__ import annotations

import inspect
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.errors import ModelCrashed, ModelTimedOut
from tidemill.models.isolation import child

if TYPE_CHECKING:
    from typing import BinaryIO

# Seconds between two checks that the process is alive. Its socket alone does not tell: a helper
# that the model forked may keep it open after the process's end.
POLL_S = 0.2
# Seconds that the process has for writing its stacks.
STACKS_S = 5.0


class ChildProcess:
    """A process that loads and calls models, and ends with this process.

    It is started anew, not forked, because threads of this process (librdkafka's) may hold locks.
    """

    def __init__(
        self, interpreter: str = sys.executable, *, stacks: BinaryIO | None = None
    ) -> None:
        """Start `child.py` with a Python interpreter; this one's finds the same modules as here.

        `stacks` is a file that gets the stacks of a process that crashes or takes too long.
        """
        self._stacks = stacks
        inherited = [] if stacks is None else [stacks.fileno()]
        environment = dict(os.environ)
        if interpreter == sys.executable:
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    interpreter,
                    *_script(),
                    *map(str, (theirs.fileno(), os.getpid(), *inherited)),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *inherited],
            )

    @property
    def is_alive(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def request(self, frame: bytes, timeout: float | None) -> tuple[child.Message, list[Any]]:
        """Return the reply to a request: its object and its texts.

        Raises:
            ModelCrashed: The process ended, also in the middle of its reply.
            ModelTimedOut: No reply came within `timeout` seconds.

        """
        started = time.monotonic()

        def check() -> None:
            if not (self.is_alive or wait([self._socket], 0)):
                raise ModelCrashed(self.close())
            if timeout is not None and time.monotonic() - started >= timeout:
                self._write_stacks()
                raise ModelTimedOut(timeout)

        self._socket.settimeout(POLL_S if timeout is None else min(POLL_S, timeout))
        try:
            child.send(self._socket, frame, check)
            return child.receive(self._socket, check)
        except (EOFError, OSError):
            raise ModelCrashed(self.close()) from None

    def _write_stacks(self) -> None:
        """Have the process write where it hangs, if there is a file for that; it ends with it."""
        if self._stacks is not None:
            self._process.send_signal(signal.SIGABRT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STACKS_S)

    def close(self) -> int:
        """Kill the process if it is running; return its exit code, negative for a signal."""
        self._process.kill()
        self._socket.close()
        return self._process.wait()


def _script() -> list[str]:
    """Return the arguments that make Python run `child.py`, which may lie in a zip file."""
    return [child.__file__] if Path(child.__file__).exists() else ["-c", inspect.getsource(child)]
