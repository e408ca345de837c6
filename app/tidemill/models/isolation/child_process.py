"""The process that a supervised model runs in: what it does, and the pipe to it."""

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
from tidemill.inference.predictor import call
from tidemill.models import catalogue

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec

# What was asked for, or why there is none; and whether the process can go on.
Reply: TypeAlias = "tuple[list[str] | TidemillError, bool]"

START = f"import {__name__} as child; child.main()"
PR_SET_PDEATHSIG = 1
# A helper that the model forked may hold the pipe open, which then tells of no end.
LOOK_S = 0.2


class ChildProcess:
    """A process of our own that loads and calls models; it ends with this one.

    It is started anew, not forked: threads of this process, as librdkafka's, may hold locks.
    """

    def __init__(self) -> None:
        """Start it."""
        self._pipe, end = Pipe()
        with end:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, str(end.fileno()), str(os.getpid())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                pass_fds=[end.fileno()],
            )

    @property
    def runs(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    def ask(self, spec: ModelSpec, inputs: list[str], limit: float | None) -> Reply:
        """Have an entry's model answer; no input: have it loaded. Wait for `limit` seconds.

        Raises:
            ModelCrashed: The process has ended.
            ModelTimedOut: It gave no answer in time.

        """
        with suppress(OSError):  # it has ended: the answer will be missing
            self._pipe.send((spec, inputs))
        started = time.monotonic()
        while not self._pipe.poll(LOOK_S if limit is None else min(LOOK_S, limit)):
            if not (self.runs or self._pipe.poll()):
                raise ModelCrashed(self.close())
            if limit is not None and time.monotonic() - started >= limit:
                raise ModelTimedOut(limit)
        try:
            reply: Reply = self._pipe.recv()
        except (EOFError, OSError):
            raise ModelCrashed(self.close()) from None
        return reply

    def close(self) -> int:
        """Kill it where it still runs; return its exit code, or a signal's number below zero."""
        self._process.kill()
        self._pipe.close()
        return self._process.wait()


def main() -> None:
    """Answer what this process was started for."""
    pipe, parent = Connection(int(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(pipe.fileno(), False)  # noqa: FBT003 - the standard library's
    die_with_parent(parent)
    serve(pipe)


def serve(pipe: Connection) -> None:
    """Answer what comes through a pipe, until it is closed."""
    with suppress(EOFError):
        while True:
            said, goes_on = reply(*pipe.recv())
            try:
                pipe.send((said, goes_on))
            except Exception as cause:  # noqa: BLE001 - what a model returned does not pickle
                pipe.send((PredictionFailed(cause), goes_on))


def reply(spec: ModelSpec, inputs: list[str]) -> Reply:
    """Call an entry's model, loaded where it is not yet; without input only load it."""
    try:
        model = catalogue.load(spec)
        return call(model, inputs) if inputs else [], True
    except TidemillError as error:
        return error, True
    except BaseException as cause:  # noqa: BLE001 - as in `bisect_failures`; nothing else ends this process
        # The model may still hold what it asked for, and all that follows would fail.
        return PredictionFailed(cause), not isinstance(cause, MemoryError)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process with the thread that started it (Linux, prctl(2))."""
    with suppress(AttributeError):  # elsewhere it ends when it next looks at the pipe
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()
