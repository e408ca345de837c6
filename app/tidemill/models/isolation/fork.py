"""Models in a fork of this process, for one that is going to have threads.

As soon as a process has a second thread, C++ counts references atomically (glibc's
`__libc_single_threaded`), and a model such as spaCy's takes a sixth longer. A fork that was made
before has one thread, and shares what was loaded by then.
"""

from __future__ import annotations

import os
import sys
import traceback
from functools import cache
from multiprocessing import Pipe
from typing import TYPE_CHECKING, NoReturn

from tidemill.models import catalogue
from tidemill.models.isolation import procfs
from tidemill.models.isolation.child_process import LOOK_S, die_with_parent, serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from tidemill.errors import TidemillError
    from tidemill.inference.model import Model, ModelSpec


def load(spec: ModelSpec) -> Model:
    """Return the entry's model in the fork, where it is loaded once, and kept.

    Without a fork the model is one of this process.

    Raises:
        ModelMisconfigured, ModelLoadFailed: As `catalogue.load`.

    """
    there = ensure_fork()
    return ForkedModel(spec, there) if there else catalogue.load(spec)


class ForkedModel:
    """An entry's model in the fork."""

    def __init__(self, spec: ModelSpec, there: ModelFork) -> None:
        """Have it loaded, if it is not yet."""
        self._spec = spec
        self._fork = there
        there.ask(spec, [])

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return what the model returns.

        Raises:
            PredictionFailed, WrongOutputCount: With what the model did.

        """
        return self._fork.ask(self._spec, inputs)


class ModelFork:
    """A fork of this process that loads and calls models.

    It ends with this process. Where it ends by itself, as by an input, this process ends at its
    next question: as if the model were here.
    """

    def __init__(self, pid: int, pipe: Connection) -> None:
        """Take its process id and the pipe to it."""
        self._pid = pid
        self._pipe = pipe

    def ask(self, spec: ModelSpec, inputs: list[str]) -> list[str]:
        """Have an entry's model answer; no input: have it loaded.

        Raises:
            TidemillError: There are no answers.

        """
        said: list[str] | TidemillError
        try:
            self._pipe.send((spec, inputs))
            # A helper that the model forked may hold the pipe open, which then tells of no end.
            while not self._pipe.poll(LOOK_S):
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    raise EOFError  # noqa: TRY301
            said, _ = self._pipe.recv()
        except BaseException as cause:  # noqa: BLE001 - an answer still to come would be another's
            sys.stderr.write(f"the process with the model {spec.id} has ended: {cause!r}\n")
            sys.stderr.flush()
            os._exit(os.EX_SOFTWARE)
        if isinstance(said, BaseException):
            raise said
        return said


def ensure_fork() -> ModelFork | None:
    """Return the fork; it is made at the first call, if this process has no threads by then."""
    return _fork_of(os.getpid())


@cache
def _fork_of(pid: int) -> ModelFork | None:
    """Fork this process, which has that number."""
    if procfs.has_threads():
        sys.stderr.write("models share a process with other threads, which makes some slower\n")
        return None
    ours, theirs = Pipe()
    sys.stdout.flush()  # else both would
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _answer(theirs, pid)
    theirs.close()
    return ModelFork(child, ours)


def _answer(pipe: Connection, parent: int) -> NoReturn:
    """Be the fork."""
    try:
        die_with_parent(parent)
        for socket in procfs.sockets():  # at other ends the end of our parent is awaited
            if socket != pipe.fileno():
                os.close(socket)
        serve(pipe)
    except BaseException:  # noqa: BLE001 - else it would go on as its parent does
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(os.EX_OK)
