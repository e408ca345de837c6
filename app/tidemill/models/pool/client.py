"""Send slices to the pool, and find the input that ended a process."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from tidemill.errors import (
    ModelCrashed,
    ModelProcessesEnded,
    ModelTimedOut,
    ModelUnavailable,
    PredictionFailed,
)
from tidemill.inference.batch import is_outage
from tidemill.inference.engine import until_outage
from tidemill.inference.request import Output
from tidemill.models.host import Usage
from tidemill.models.isolation import child
from tidemill.models.pool import outputs
from tidemill.models.pool.exits import ProcessEnded, how_ended
from tidemill.models.pool.state import OUT_OF_MEMORY, TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Generator

    from tidemill.errors import MessageError
    from tidemill.inference.model import ModelSpec
    from tidemill.models.pool.outputs import Description
    from tidemill.models.pool.slices import Slicer
    from tidemill.models.pool.start import PoolAddress

# An input is to blame for the end of a process if this happens so many times while it runs alone.
# Once is not enough, as something else may have killed the process.
TRIES_ALONE = 2
# The most threads of one task. Each takes address space, which may be limited.
MAX_THREADS = 32
# How many times a request may start the pool again if the whole pool has ended.
RESTARTS = 3


class PoolUsage(NamedTuple):
    """What a pool did with each of its models; a newer state has a higher version.

    `pool` is its id, and that of a pool which replaces it is greater.
    """

    pool: str
    version: int
    models: dict[str, Usage]


class PooledRunner:
    """Run models in the pool; a `Runner` for any number of threads.

    If a process ends or exceeds the entry's `limits.seconds`, each input of its slice is tried
    alone. If an input ends a process twice while it runs alone, it gets a MessageError. But if the
    sample ends a process too, the model is down, and no input is blamed.
    """

    def __init__(self, address: PoolAddress, slicer: Slicer, processes: int) -> None:
        """Take the pool, and how many processes it has."""
        self._address = address
        self._slicer = slicer
        # One more than there are processes, so that none waits for its next slice.
        self._threads = ThreadPoolExecutor(min(processes + 1, MAX_THREADS), "slices")
        # The pool and the version of its usage: the latest seen, and the latest reported.
        self._usage_version = self._reported = ("", 0)

    def run(self, spec: ModelSpec, inputs: list[str | None]) -> Generator[list[Output]]:
        """Send the slices to the pool, and yield the outputs of one after another.

        If the caller closes this generator, the slices that have not begun are cancelled.
        """
        outputs = self._run(spec, inputs)
        next(outputs)  # send them now, so that several models run at once
        return outputs

    def describe(self, spec: ModelSpec) -> Description:
        """Return a model's sample and schemas.

        Raises:
            TidemillError: The model does not load, or there is no pool.

        """
        question = child.encode({"model": spec.id, "describe": True})
        for _ in range(RESTARTS + 1):
            try:
                with self._address.connect() as connection:
                    child.send(connection, question)
                    child.receive(connection)  # the greeting
                    reply, _ = child.receive(connection)
            except (OSError, EOFError):
                with suppress(OSError):  # the next attempt to connect fails, too
                    self._address.start()
            else:
                return outputs.decode_description(reply)
        raise ModelProcessesEnded(spec.id, RESTARTS + 1)

    def usage(self) -> PoolUsage | None:
        """Return what the pool did with its models.

        Return None if nothing has changed since the last call, or if the pool does not answer; a
        later call then reports the changes.
        """
        if self._usage_version == self._reported:
            return None
        with suppress(OSError, EOFError), self._address.connect() as connection:
            child.send(connection, child.encode({"usage": True}))
            greeting, _ = child.receive(connection)
            reply, _ = child.receive(connection)
            self._usage_version = self._reported = greeting["pool"], reply["version"]
            usage = {model: Usage(*fields) for model, fields in reply["usage"].items()}
            return PoolUsage(*self._reported, usage)
        return None

    def _run(self, spec: ModelSpec, inputs: list[str | None]) -> Generator[list[Output]]:
        outages: list[Output] = []

        def run(part: list[str | None]) -> list[Output]:
            """Run a slice, unless an earlier one has shown that the model is down."""
            outputs = outages[:1] * len(part) or self.run_slice(spec, part)
            outages.extend(filter(is_outage, outputs))
            return outputs

        sent = deque(self._threads.submit(run, part) for part in self._slicer.cut(spec, inputs))
        try:
            yield []
            while sent:
                yield sent.popleft().result()
        finally:
            for future in sent:
                future.cancel()

    def run_slice(self, spec: ModelSpec, inputs: list[str | None]) -> list[Output]:
        """Return the outputs of inputs that one process takes together; None is the sample."""
        try:
            results = self._request(spec, inputs)
        except ProcessEnded:
            alone = ([self._run_alone(spec, text)] for text in inputs)
            return until_outage(alone, len(inputs))
        self._slicer.record(spec, results)
        return results

    def _run_alone(self, spec: ModelSpec, text: str | None) -> Output:
        """Return the output of an input that may be to blame for the end of a process."""
        start = time.time()
        output = self._try_alone(spec, text)
        if isinstance(output, Output):
            return output
        span = start, time.time()
        sample = self._try_alone(spec, None)
        if not isinstance(sample, Output):
            return Output(ModelUnavailable(spec.id, sample), span)
        return sample if is_outage(sample) else Output(output, span)

    def _try_alone(self, spec: ModelSpec, text: str | None) -> Output | MessageError:
        """Return an input's output, or an error if it ends a process again and again."""
        code = 0
        for _ in range(TRIES_ALONE):
            try:
                (output,) = self._request(spec, [text])
            except ProcessEnded as ended:
                code = ended.code
                if code == TIMED_OUT and ended.seconds >= spec.limits.seconds:
                    break
            else:
                self._slicer.record(spec, [output])
                return output
        if code == TIMED_OUT:
            return ModelTimedOut(spec.limits.seconds)
        return PredictionFailed(MemoryError()) if code == OUT_OF_MEMORY else ModelCrashed(code)

    def _request(self, spec: ModelSpec, inputs: list[str | None]) -> list[Output]:
        """Return the outputs of inputs that one process takes.

        Raises:
            ProcessEnded: The process ended before it answered.

        """
        frame = (
            child.encode({"model": spec.id, "sample": True})
            if inputs == [None]
            else child.encode({"model": spec.id}, inputs)
        )
        for _ in range(RESTARTS + 1):
            greeting: child.Message = {}
            start = time.monotonic()
            try:
                with self._address.connect() as connection:
                    child.send(connection, frame)
                    greeting, _ = child.receive(connection)
                    start = time.monotonic()
                    reply, texts = child.receive(connection)
                    self._usage_version = greeting["pool"], reply["usage_version"]
                    return outputs.decode(reply, texts)
            except (OSError, EOFError):
                seconds = time.monotonic() - start
            if greeting and (code := how_ended(self._address, greeting)) is not None:
                raise ProcessEnded(code, seconds)
            with suppress(OSError):  # the next attempt to connect fails, too
                self._address.start()
        now = time.time()
        return [Output(ModelProcessesEnded(spec.id, RESTARTS + 1), (now, now))] * len(inputs)
