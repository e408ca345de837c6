"""Keep models in a single-threaded fork of a process that is about to start threads.

Once a process has a second thread, C++ counts references atomically (glibc's
`__libc_single_threaded`), which makes a model such as spaCy's a sixth slower. A fork made before
that stays single-threaded, and shares the memory of everything that was loaded.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from tidemill.models import host
from tidemill.models.isolation import child, procfs, replies
from tidemill.models.isolation.child_process import POLL_S

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec


class ForkedModel:
    """An entry's model in the fork."""

    def __init__(self, spec: ModelSpec, model_fork: ModelFork) -> None:
        """Load the model in the fork, unless it is loaded already.

        Raises:
            ModelMisconfigured, ModelLoadFailed: As `host.load` does.

        """
        self._spec = spec
        self._fork = model_fork
        model_fork.load(spec)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the model's outputs.

        Raises:
            PredictionFailed, WrongOutputCount: The model failed.

        """
        return self._fork.predict(self._spec, inputs)


class ModelFork:
    """A fork of this process that loads and calls models, and ends with this process.

    If the fork ends by itself, for example because an input crashed the model, this process exits
    at its next request, as it would if the model had crashed in this process.
    """

    def __init__(self) -> None:
        """Fork this process."""
        parent = os.getpid()
        self._socket, theirs = socket.socketpair()
        sys.stdout.flush()  # otherwise both processes would print what is buffered
        sys.stderr.flush()
        self._pid = os.fork()
        if not self._pid:
            _run_fork(theirs, parent)
        theirs.close()
        self._socket.settimeout(POLL_S)
        # By a model's id, the request that loaded it: entries of two jobs may have the same id.
        self._loaded: dict[str, bytes] = {}

    def load(self, spec: ModelSpec) -> None:
        """Load an entry's model, unless it is loaded already.

        Raises:
            ModelMisconfigured, ModelLoadFailed: As `host.load` does.

        """
        frame = replies.load_request(spec)
        if self._loaded.get(spec.id) != frame:
            self._request(spec, frame)
            self._loaded[spec.id] = frame

    def predict(self, spec: ModelSpec, inputs: list[str]) -> list[str]:
        """Return the outputs of an entry's model.

        Raises:
            TidemillError: The model failed.

        """
        self.load(spec)
        return self._request(spec, replies.predict_request(spec, inputs))

    def _request(self, spec: ModelSpec, frame: bytes) -> list[str]:
        try:
            child.send(self._socket, frame, self._check)
            reply, outputs = child.receive(self._socket, self._check)
        except BaseException as cause:  # noqa: BLE001 - a late reply would be read as the next one's
            sys.stderr.write(f"the process of model {spec.id} ended: {cause!r}\n")
            sys.stderr.flush()
            os._exit(os.EX_SOFTWARE)
        if error := replies.error_of(spec, reply):
            raise error
        return outputs

    def _check(self) -> None:
        """Raise if the fork has ended; a helper that the model forked may keep the socket open."""
        if os.waitpid(self._pid, os.WNOHANG)[0]:
            raise EOFError


def _run_fork(sock: socket.socket, parent: int) -> NoReturn:
    """Run in the fork: answer requests until the parent ends."""
    try:
        child.die_with_parent(parent)
        # The peers of our parent's connections must see them close when our parent ends.
        for descriptor in procfs.socket_fds():
            if descriptor != sock.fileno():
                os.close(descriptor)
        child.serve(sock, host.load_once)
    except BaseException:  # noqa: BLE001 - the fork must not run its parent's code
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(os.EX_OK)
