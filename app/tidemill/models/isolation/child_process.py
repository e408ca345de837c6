"""Load and call models in a child process, over a pipe: both ends of it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, TypeAlias

from tidemill.errors import ModelCrashed, ModelTimedOut, PredictionFailed, TidemillError
from tidemill.inference.engine import predict_checked
from tidemill.models import catalogue

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec

# The outputs or the error, and whether the process can be used again.
Reply: TypeAlias = "tuple[list[str] | TidemillError, bool]"

START = f"import {__name__} as child; child.main()"
PR_SET_PDEATHSIG = 1
# Seconds between two checks that the child is alive. The pipe alone does not tell: a helper that
# the model forked may keep it open after the child's end.
POLL_S = 0.2


class ChildProcess:
    """A child process that loads and calls models, and ends with this process.

    It is started anew, not forked, because threads of this process (librdkafka's) may hold locks.
    """

    def __init__(self) -> None:
        """Start the process."""
        self._pipe, end = Pipe()
        with end:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, str(end.fileno()), str(os.getpid())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                pass_fds=[end.fileno()],
            )

    @property
    def is_alive(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def request(self, spec: ModelSpec, inputs: list[str], timeout: float | None) -> Reply:
        """Call an entry's model, or only load it if there are no inputs.

        Raises:
            ModelCrashed: The process ended.
            ModelTimedOut: No reply came within `timeout` seconds.

        """
        with suppress(OSError):  # the process has ended; waiting for its reply will show that
            self._pipe.send((spec, inputs))
        started = time.monotonic()
        while not self._pipe.poll(POLL_S if timeout is None else min(POLL_S, timeout)):
            if not (self.is_alive or self._pipe.poll()):
                raise ModelCrashed(self.close())
            if timeout is not None and time.monotonic() - started >= timeout:
                raise ModelTimedOut(timeout)
        try:
            reply: Reply = self._pipe.recv()
        except (EOFError, OSError):
            raise ModelCrashed(self.close()) from None
        return reply

    def close(self) -> int:
        """Kill the process if it is running; return its exit code, negative for a signal."""
        self._process.kill()
        self._pipe.close()
        return self._process.wait()


def main() -> None:
    """Run the child process."""
    pipe, parent = Connection(int(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(pipe.fileno(), False)  # noqa: FBT003 - the standard library's
    die_with_parent(parent)
    serve(pipe)


def serve(pipe: Connection) -> None:
    """Handle requests until the pipe is closed."""
    with suppress(EOFError):
        while True:
            result, reusable = handle(*pipe.recv())
            try:
                pipe.send((result, reusable))
            except Exception as cause:  # noqa: BLE001 - an output that cannot be pickled
                pipe.send((PredictionFailed(cause), reusable))


def handle(spec: ModelSpec, inputs: list[str]) -> Reply:
    """Load an entry's model if needed, and call it if there are inputs."""
    try:
        model = catalogue.load(spec)
        return predict_checked(model, inputs) if inputs else [], True
    except TidemillError as error:
        return error, True
    except BaseException as cause:  # noqa: BLE001 - as in bisect_failures; the process lives on
        # After a MemoryError the model may still hold the memory, and every later call would fail.
        return PredictionFailed(cause), not isinstance(cause, MemoryError)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the parent's thread ends (prctl(2), Linux)."""
    with suppress(AttributeError):  # on other systems it ends when it next reads the pipe
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()
