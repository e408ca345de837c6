"""Models that an input may end: each call is made in a child process, and watched."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.errors import (
    MessageError,
    ModelCrashed,
    ModelLoadFailed,
    ModelTimedOut,
    TidemillError,
)
from tidemill.models.isolation.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.inference.model import Model, ModelLoader, ModelSpec


@contextmanager
def loader(limit: float | None) -> Iterator[ModelLoader]:
    """Yield what loads an entry's model in a child process, which ends with the context.

    The models give what they would give here, but where an input ends the process or gets no answer
    within `limit` seconds (None: there is no limit) they raise MessageErrors. What is yielded
    raises as `catalogue.load` does.
    """
    process = Process(limit)
    loaded: dict[str, SupervisedModel] = {}

    def load(spec: ModelSpec) -> Model:
        if spec.id not in loaded:
            process.load(spec)
            loaded[spec.id] = SupervisedModel(spec, process)
        return loaded[spec.id]

    try:
        yield load
    finally:
        process.end()


class Process:
    """The child process: one at a time, and a new one where the last has ended."""

    def __init__(self, limit: float | None) -> None:
        """Take the seconds that a call may take; a load may take longer."""
        self._limit = limit
        self._child: ChildProcess | None = None
        self._loaded: set[str] = set()

    @property
    def runs(self) -> bool:
        """Whether the last call left it alive."""
        return self._child is not None

    def load(self, spec: ModelSpec) -> ChildProcess:
        """Have an entry's model loaded.

        Raises:
            ModelMisconfigured, ModelLoadFailed: As `catalogue.load`, or the process ended.

        """
        if self._child is not None and not self._child.runs:
            self.end()  # after its last answer, which is no fault of the next input
        child = self._child = self._child or ChildProcess()
        if spec.id not in self._loaded:
            try:
                self._ask(child, spec, [], None)
            except ModelCrashed as cause:
                raise ModelLoadFailed(spec.id, cause) from cause
            self._loaded.add(spec.id)
        return child

    def call(self, spec: ModelSpec, inputs: list[str]) -> list[str]:
        """Return the model's outputs.

        Raises:
            MessageError: There are none; after some, `runs` is false.
            ModelMisconfigured, ModelLoadFailed: It did not load again.

        """
        return self._ask(self.load(spec), spec, inputs, self._limit)

    def end(self) -> None:
        """End it where it runs."""
        if self._child is not None:
            self._child.close()
        self._child = None
        self._loaded.clear()

    def _ask(
        self, child: ChildProcess, spec: ModelSpec, inputs: list[str], limit: float | None
    ) -> list[str]:
        try:
            said, goes_on = child.ask(spec, inputs, limit)
        except (ModelCrashed, ModelTimedOut):
            self.end()
            raise
        if not goes_on:
            self.end()
        if isinstance(said, TidemillError):
            raise said
        return said


class SupervisedModel:
    """An entry's model in the child process.

    After a call with several inputs that ended the process, each of them is called alone, once,
    and what came of it is kept: one that ends the process does so twice, however a batch is halved.
    """

    def __init__(self, spec: ModelSpec, process: Process) -> None:
        """Take the entry, and what calls its model."""
        self._spec = spec
        self._process = process
        # Of inputs that were in such a call. None: it was not called alone yet.
        self._suspects: dict[str, str | MessageError | None] = {}

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input.

        Raises:
            MessageError: The model raised, ended its process, or gave no answer in time.
            ModelMisconfigured, ModelLoadFailed: It did not load again.

        """
        for text in inputs:
            if isinstance(known := self._suspects.get(text), MessageError):
                raise known.with_traceback(None)
        if any(text in self._suspects for text in inputs):
            return [self._alone(text) for text in inputs]
        try:
            return self._process.call(self._spec, inputs)
        except MessageError as error:
            if not self._process.runs:
                self._suspects |= dict.fromkeys(inputs, error if len(inputs) == 1 else None)
            raise

    def _alone(self, text: str) -> str:
        said = self._suspects.get(text)
        if said is None:
            try:
                (said,) = self._process.call(self._spec, [text])
            except MessageError as error:
                said = error
            self._suspects[text] = said
        if isinstance(said, MessageError):
            raise said
        return said
