"""Answer requests: group them by model, and run each model on its inputs."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Protocol

import msgspec

from tidemill.errors import InputTooLong, TidemillError
from tidemill.inference.batch import is_outage, run_batch
from tidemill.inference.features import without_store
from tidemill.inference.request import Output

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from tidemill.inference.batch import Clock
    from tidemill.inference.features import Complete
    from tidemill.inference.model import ModelLoader, ModelSpec
    from tidemill.inference.request import Request


class Runner(Protocol):
    """Run models on inputs: in this process, or in others."""

    def run(self, spec: ModelSpec, inputs: list[str | None]) -> Generator[list[Output]]:
        """Yield the outputs of the inputs in their order, batch by batch; a caller may close it.

        A runner may begin before the first output is read, so that several models run at once.
        """


class Engine:
    """Return one output for each request; every door calls it.

    An input that its model cannot process gets a MessageError. If a model does not load, or fails
    on its own sample too, it is down: its failed requests get that error, and requests of other
    models still get their answers.
    """

    def __init__(self, runner: Runner, *, clock: Clock, complete: Complete = without_store) -> None:
        """Take what runs the models, and what adds the features that entries look up.

        The clock returns seconds since the epoch.
        """
        self._runner = runner
        self._clock = clock
        self._complete = complete

    def run(self, requests: Sequence[Request]) -> list[Output]:
        """Return an output for each request, in the same order."""
        outputs: dict[int, Output] = {}
        groups: dict[str, list[int]] = {}
        completed = self._complete(requests)
        inputs: dict[int, str | None] = {}
        for index, (request, done) in enumerate(zip(requests, completed, strict=True)):
            spec = request.spec
            try:
                inputs[index] = usable(spec, done.input)
            except TidemillError as error:
                now = self._clock()
                outputs[index] = Output(error, (now, now))
            else:
                groups.setdefault(spec.id, []).append(index)
        with ExitStack() as stack:
            started = []
            for indexes in groups.values():
                texts = [inputs[index] for index in indexes]
                batches = self._runner.run(requests[indexes[0]].spec, texts)
                started.append((indexes, stack.enter_context(closing(batches))))
            for indexes, batches in started:
                with closing(batches):  # at once: after an outage, no further batch is needed
                    outputs.update(zip(indexes, until_outage(batches, len(indexes)), strict=True))
        return [
            outputs[index]
            if done.features is None
            else msgspec.structs.replace(outputs[index], features=done.features)
            for index, done in enumerate(completed)
        ]


def usable(spec: ModelSpec, completed: str | TidemillError | None) -> str | None:
    """Return a completed input that its model takes.

    Raises:
        TidemillError: It could not be completed, or it is too long.

    """
    if isinstance(completed, TidemillError):
        raise completed
    check_length(spec, completed or "")
    return completed


def check_length(spec: ModelSpec, text: str) -> None:
    """Check that a model takes an input of this length.

    Raises:
        InputTooLong: It does not.

    """
    if len(text) > spec.limits.chars:
        raise InputTooLong(len(text), spec.limits.chars)


class LocalRunner:
    """Run models in this process; for one thread."""

    def __init__(self, load: ModelLoader, *, clock: Clock) -> None:
        """Take a function that returns an entry's model, and should cache it."""
        self._load = load
        self._clock = clock

    def run(self, spec: ModelSpec, inputs: list[str | None]) -> Generator[list[Output]]:
        """Yield the outputs of batches of at most `limits.batch` inputs."""
        for start in range(0, len(inputs), spec.limits.batch):
            batch = inputs[start : start + spec.limits.batch]
            yield run_batch(spec, self._load, batch, clock=self._clock)


def until_outage(batches: Iterable[list[Output]], count: int) -> list[Output]:
    """Return `count` outputs; read no batch after an outage, which the rest of the inputs get."""
    outputs: list[Output] = []
    for batch in batches:
        outputs += batch
        if outage := next(filter(is_outage, batch), None):
            return outputs + [outage] * (count - len(outputs))
    return outputs


def local_engine(load: ModelLoader, *, clock: Clock, complete: Complete = without_store) -> Engine:
    """Return an engine that runs models in this process."""
    return Engine(LocalRunner(load, clock=clock), clock=clock, complete=complete)
