"""One process of the pool: accept a connection, answer one slice, close, accept the next one."""

from __future__ import annotations

import os
import select
import time
from contextlib import contextmanager, suppress
from dataclasses import astuple
from typing import TYPE_CHECKING

from tidemill.inference.batch import run_batch
from tidemill.models import host
from tidemill.models.isolation import child, procfs
from tidemill.models.pool import outputs
from tidemill.models.pool.state import NO_DEADLINE, OUT_OF_MEMORY

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from tidemill.inference.model import Model, ModelSpec
    from tidemill.models.pool.state import SharedState

# A model that takes longer to load is hung.
LOAD_SECONDS = 900


class Member:
    """Answer slices in this process, which the pool's server kills at its deadline."""

    def __init__(self, number: int, state: SharedState, specs: Sequence[ModelSpec]) -> None:
        """Take this process's number in the state that it shares with the server."""
        self._number = number
        self._state = state
        self._specs = {spec.id: spec for spec in specs}
        self._sockets: list[socket.socket] = []
        self._state.models.start(number)
        # What the models that are loaded leave of the memory is for those that this process loads.
        host.models.inherit((host.models.limit - host.models.bytes) / state.processes)

    def serve(self, listener: socket.socket, retired: int) -> None:
        """Answer slices until the file descriptor `retired` is readable."""
        self._sockets = [listener]
        # A helper that a model forks must not keep a client waiting that this process has left.
        os.register_at_fork(after_in_child=self._close_sockets)
        poller = select.poll()
        for file in (listener.fileno(), retired):
            poller.register(file, select.POLLIN)
        while retired not in dict(poller.poll()):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:  # another process was faster
                continue
            with connection, suppress(EOFError, ConnectionError):  # the client may have ended
                self._sockets[1:] = [connection]
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        greeting = {"pool": self._state.pool, "pid": os.getpid(), "server": os.getppid()}
        child.send(connection, child.encode(greeting))
        request, inputs = child.receive(connection)
        if "ended" in request:
            code = self._state.exit_code(request["ended"])
            child.send(connection, child.encode({"code": code}))
            return
        if "usage" in request:
            usage = {model: astuple(each) for model, each in self._state.models.usage().items()}
            reply = {"version": self._state.models.version, "usage": usage}
            child.send(connection, child.encode(reply))
            return
        spec = self._specs[request["model"]]
        self._state.models.touch(spec.id)
        if "describe" in request:
            child.send(connection, outputs.encode_description(spec, self._load))
            return
        answers = run_batch(
            spec, self._load, [None] if "sample" in request else inputs, clock=time.time
        )
        self._state.models.add(self._number, host.models.take_usage())
        child.send(connection, outputs.encode(answers, self._state.models.version))

    def _load(self, spec: ModelSpec) -> Model:
        if spec in host.models:
            return LimitedModel(self, spec, host.load(spec))
        with self._limit(LOAD_SECONDS):
            before = procfs.resources()
            model = host.load(spec)
            if host.is_shareable(before):
                self._state.models.wish(spec.id)
        return LimitedModel(self, spec, model)

    def predict(self, spec: ModelSpec, model: Model, inputs: list[str]) -> list[str]:
        """Call a model within its time limit; end this process if the memory does not suffice.

        Raises:
            BaseException: Whatever the model raises.

        """
        try:
            with self._limit(spec.limits.seconds):
                return model.predict_all(inputs)
        except MemoryError:
            # The model may still hold the memory, so that other inputs, and the sample, would fail
            # here. The client tries them in other processes.
            os._exit(OUT_OF_MEMORY)

    @contextmanager
    def _limit(self, seconds: float) -> Iterator[None]:
        self._state.set_deadline(self._number, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._state.set_deadline(self._number, NO_DEADLINE)

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()


class LimitedModel:
    """A model whose calls have a time limit."""

    def __init__(self, member: Member, spec: ModelSpec, model: Model) -> None:
        """Take the process's member, which calls the model."""
        self._member = member
        self._spec = spec
        self._model = model

    def __getattr__(self, name: str) -> object:
        """Return another attribute of the model, such as its sample."""
        return getattr(self._model, name)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return whatever the model returns, and raise whatever it raises."""
        return self._member.predict(self._spec, self._model, inputs)
