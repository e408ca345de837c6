"""Call models in a supervised child process, for inputs that may crash or hang a model."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tidemill.errors import (
    MessageError,
    ModelCrashed,
    ModelLoadFailed,
    ModelTimedOut,
)
from tidemill.inference.engine import LocalRunner
from tidemill.models.isolation import replies
from tidemill.models.isolation.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import BinaryIO

    from tidemill.inference.model import Model, ModelLoader, ModelSpec
    from tidemill.inference.request import Output
    from tidemill.models.isolation.child import Message


@contextmanager
def loader(stacks: BinaryIO | None = None) -> Iterator[ModelLoader]:
    """Yield a loader whose models run in a child process, which ends with the context.

    The models return the same outputs as in this process. If an input crashes the child process, or
    gets no output within the entry's `limits.seconds`, they raise a MessageError. The loader raises
    as `host.load` does. A child process that crashes or takes too long writes to `stacks`
    where it was.
    """
    child = RestartingChild(partial(ChildProcess, stacks=stacks))
    loaded: dict[str, SupervisedModel] = {}

    def load(spec: ModelSpec) -> Model:
        if spec.id not in loaded:
            loaded[spec.id] = SupervisedModel(child, spec)
        return loaded[spec.id]

    try:
        yield load
    finally:
        child.stop()


class SupervisedRunner:
    """Run models in a child process of this one; a `Runner`, for a system without a pool."""

    def __init__(self) -> None:
        """Start no process yet."""
        # A new model for each batch: a process that something else killed blames no later input.
        self._runner = LocalRunner(partial(SupervisedModel, RestartingChild()), clock=time.time)
        # The child ends with the thread that started it, so one thread makes all calls.
        self._thread = ThreadPoolExecutor(1, "supervised")

    def run(self, spec: ModelSpec, inputs: list[str | None]) -> Generator[list[Output]]:
        """Yield the outputs of batches of at most `limits.batch` inputs."""
        batches = self._runner.run(spec, inputs)
        while outputs := self._thread.submit(next, batches, None).result():
            yield outputs


class RestartingChild:
    """A child process that is replaced when it ends."""

    def __init__(self, start: Callable[[], ChildProcess] = ChildProcess) -> None:
        """Start no process yet."""
        self._start = start
        self._child: ChildProcess | None = None
        self._loaded: dict[str, Message] = {}  # the models' attributes

    @property
    def is_alive(self) -> bool:
        """Whether the process survived the last call."""
        return self._child is not None

    def load(self, spec: ModelSpec) -> tuple[ChildProcess, Message]:
        """Load an entry's model, unless it is loaded already; return the process and attributes.

        Raises:
            ModelMisconfigured, ModelLoadFailed: As `host.load`, or the process ended.

        """
        if self._child is not None and not self._child.is_alive:
            self.stop()  # it ended after its last reply, so the next input is not to blame
        child = self._child = self._child or self._start()
        if spec.id not in self._loaded:
            try:
                request = replies.load_request(spec)
                self._loaded[spec.id], _ = self._request(child, spec, request, None)
            except ModelCrashed as cause:
                raise ModelLoadFailed(spec.id, cause) from cause
        return child, self._loaded[spec.id]

    def predict(self, spec: ModelSpec, inputs: list[str]) -> list[str]:
        """Return the model's outputs.

        Raises:
            MessageError: The model failed. If it also ended the process, `is_alive` is False.
            ModelMisconfigured, ModelLoadFailed: The model could not be loaded again.

        """
        child, _ = self.load(spec)
        frame = replies.predict_request(spec, inputs)
        _, outputs = self._request(child, spec, frame, spec.limits.seconds)
        return outputs

    def stop(self) -> None:
        """Kill the process if it is running."""
        if self._child is not None:
            self._child.close()
        self._child = None
        self._loaded.clear()

    def _request(
        self, child: ChildProcess, spec: ModelSpec, frame: bytes, timeout: float | None
    ) -> tuple[Message, list[str]]:
        try:
            reply, outputs = child.request(frame, timeout)
        except (ModelCrashed, ModelTimedOut):
            self.stop()
            raise
        if error := replies.error_of(spec, reply):
            if not replies.is_reusable(reply):
                self.stop()
            raise error
        return reply, outputs


class SupervisedModel:
    """An entry's model in the child process.

    If a call with several inputs ends the process, each of them becomes a suspect. A suspect is
    called alone, once, and its result is kept, so that it crashes the process at most twice,
    however often the batch is halved.
    """

    def __init__(self, child: RestartingChild, spec: ModelSpec) -> None:
        """Load the entry's model in the child process, unless it is loaded already.

        Raises:
            ModelMisconfigured, ModelLoadFailed: As `host.load`, or the process ended.

        """
        _, attributes = child.load(spec)
        self.sample = attributes["sample"]
        self.input_schema = attributes["input_schema"]
        self.output_schema = attributes["output_schema"]
        self._spec = spec
        self._child = child
        # The output or error of each suspect; None until it has been called alone.
        self._suspects: dict[str, str | MessageError | None] = {}

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return one output for each input.

        Raises:
            MessageError: The model raised, ended its process, or took too long.
            ModelMisconfigured, ModelLoadFailed: The model could not be loaded again.

        """
        for text in inputs:
            if isinstance(known := self._suspects.get(text), MessageError):
                raise known.with_traceback(None)
        if any(text in self._suspects for text in inputs):
            return [self._predict_alone(text) for text in inputs]
        try:
            return self._child.predict(self._spec, inputs)
        except MessageError as error:
            if not self._child.is_alive:
                self._suspects |= dict.fromkeys(inputs, error if len(inputs) == 1 else None)
            raise

    def _predict_alone(self, text: str) -> str:
        result = self._suspects.get(text)
        if result is None:
            try:
                (result,) = self._child.predict(self._spec, [text])
            except MessageError as error:
                result = error
            self._suspects[text] = result
        if isinstance(result, MessageError):
            raise result
        return result
