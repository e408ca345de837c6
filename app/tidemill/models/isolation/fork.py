"""Keep models in a single-threaded fork of a process that is about to start threads.

Once a process has a second thread, C++ counts references atomically (glibc's
`__libc_single_threaded`), which makes a model such as spaCy's a sixth slower. A fork made before
that stays single-threaded, and shares the memory of everything that was loaded.
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
from tidemill.models.isolation.child_process import POLL_S, die_with_parent, serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from tidemill.errors import TidemillError
    from tidemill.inference.model import Model, ModelSpec


def load(spec: ModelSpec) -> Model:
    """Return the entry's model, loaded once in the fork.

    If this process cannot fork, the model is loaded in this process.

    Raises:
        ModelMisconfigured, ModelLoadFailed: As `catalogue.load` does.

    """
    model_fork = ensure_fork()
    return ForkedModel(spec, model_fork) if model_fork else catalogue.load(spec)


class ForkedModel:
    """An entry's model in the fork."""

    def __init__(self, spec: ModelSpec, model_fork: ModelFork) -> None:
        """Load the model in the fork, unless it is loaded already."""
        self._spec = spec
        self._fork = model_fork
        model_fork.request(spec, [])

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the model's outputs.

        Raises:
            PredictionFailed, WrongOutputCount: The model failed.

        """
        return self._fork.request(self._spec, inputs)


class ModelFork:
    """A fork of this process that loads and calls models, and ends with this process.

    If the fork ends by itself, for example because an input crashed the model, this process exits
    at its next request, as it would if the model had crashed in this process.
    """

    def __init__(self, pid: int, pipe: Connection) -> None:
        """Take the fork's process id and the pipe to it."""
        self._pid = pid
        self._pipe = pipe

    def request(self, spec: ModelSpec, inputs: list[str]) -> list[str]:
        """Call an entry's model, or only load it if there are no inputs.

        Raises:
            TidemillError: The model failed.

        """
        result: list[str] | TidemillError
        try:
            self._pipe.send((spec, inputs))
            # A helper that the model forked may keep the pipe open after the fork's end.
            while not self._pipe.poll(POLL_S):
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    raise EOFError  # noqa: TRY301
            result, _ = self._pipe.recv()
        except BaseException as cause:  # noqa: BLE001 - a late reply would be read as the next one's
            sys.stderr.write(f"the process of model {spec.id} ended: {cause!r}\n")
            sys.stderr.flush()
            os._exit(os.EX_SOFTWARE)
        if isinstance(result, BaseException):
            raise result
        return result


def ensure_fork() -> ModelFork | None:
    """Return this process's fork, made at the first call; None if threads were running then."""
    return _fork_of(os.getpid())


@cache
def _fork_of(pid: int) -> ModelFork | None:
    """Fork this process; `pid` is its id, so that a fork of it gets a fork of its own."""
    if procfs.has_threads():
        sys.stderr.write(
            "cannot fork a single-threaded model process; models may run about 15% slower\n"
        )
        return None
    ours, theirs = Pipe()
    sys.stdout.flush()  # otherwise both processes would print what is buffered
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _run_fork(theirs, pid)
    theirs.close()
    return ModelFork(child, ours)


def _run_fork(pipe: Connection, parent: int) -> NoReturn:
    """Run in the fork: serve requests until the parent ends."""
    try:
        die_with_parent(parent)
        # The peers of our parent's connections must see them close when our parent ends.
        for descriptor in procfs.socket_fds():
            if descriptor != pipe.fileno():
                os.close(descriptor)
        serve(pipe)
    except BaseException:  # noqa: BLE001 - the fork must not run its parent's code
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(os.EX_OK)
