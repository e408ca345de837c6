"""Models in a fork of this process, for one that is going to have threads.

As soon as a process has a second thread, C++ counts references atomically (glibc's
`__libc_single_threaded`), and a model such as spaCy's takes a sixth longer. A fork that was made
before has one thread, and shares what was loaded by then.
"""

from __future__ import annotations

import os
from functools import cache
from multiprocessing import Pipe
from typing import TYPE_CHECKING

from app.models import catalogue, own_process
from app.models.child import end_with, serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from app.errors import TidemillError
    from app.inference.model import Model, ModelSpec


def load(spec: ModelSpec) -> Model:
    """Return the entry's model in the fork, where it is loaded once, and kept.

    Without a fork the model is one of this process.

    Raises:
        ModelNotLoadable, ModelLoadFailed: As `catalogue.load`.

    """
    pipe = fork()
    return Beside(spec, pipe) if pipe else catalogue.load(spec)


def fork() -> Connection | None:
    """Have the fork made, if it is not yet and this process has no threads; return the pipe to it.

    It ends with this process.
    """
    return _fork_of(os.getpid())


class Beside:
    """An entry's model in the fork; where an input ends that, it ends this process as well."""

    def __init__(self, spec: ModelSpec, pipe: Connection) -> None:
        """Have it loaded, if it is not yet."""
        self._spec = spec
        self._pipe = pipe
        self._ask([])

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return what the model returns.

        Raises:
            PredictionFailed, WrongOutputCount: With what the model did.

        """
        return self._ask(inputs)

    def _ask(self, inputs: list[str]) -> list[str]:
        said: list[str] | TidemillError
        try:
            self._pipe.send((self._spec, inputs))
            said, _ = self._pipe.recv()
        except BaseException:  # noqa: BLE001 - an answer that is still to come would be another's
            os._exit(os.EX_SOFTWARE)
        if isinstance(said, BaseException):
            raise said
        return said


@cache
def _fork_of(pid: int) -> Connection | None:
    """Fork this process, which has that number."""
    if own_process.has_threads():
        return None
    ours, theirs = Pipe()
    if os.fork():
        theirs.close()
        return ours
    try:
        end_with(pid)
        for socket in own_process.sockets():  # whoever is at the other end awaits our parent's end
            if socket != theirs.fileno():
                os.close(socket)
        serve(theirs)
    finally:
        os._exit(os.EX_OK)
