"""A loader whose model keeps the time, the output and the traceback of each call."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.errors import ModelTimedOut, ModelUnavailable, TidemillError
from tidemill.errors.base import trace
from tidemill.inference.batch import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.inference.model import Model, ModelLoader, ModelSpec

ABORTED = "Fatal Python error: Aborted"
HANGING = "Where the model was when its time was over:"


@dataclass(slots=True)
class Call:
    """How long something took; the output, or the traceback if it raised and there is one."""

    seconds: float = 0.0
    output: str | None = None
    traceback: str = ""
    failed: bool = False


class WatchedModels:
    """Load the model of one message, and watch it.

    Attributes:
        spec: The model's entry; None if no model was needed.
        model: The model, once it is loaded.
        loaded: The call that loaded it.
        called: The call with the message's input; None if the model never saw it.
        sampled: The call with the model's sample, if it came to that.
        sample_error: Why the sample failed.

    """

    def __init__(
        self, load: ModelLoader, read_stacks: Callable[[], str], on_step: Callable[..., None]
    ) -> None:
        """Take what loads a model; see `explain` for the others."""
        self._load = load
        self._read_stacks = read_stacks
        self._on_step = on_step
        self._calls: list[Call] = []
        self.spec: ModelSpec | None = None
        self.model: Model | None = None
        self.loaded = Call()
        self.called: Call | None = None
        self.sampled: Call | None = None
        self.sample_error: TidemillError | None = None

    def load(self, spec: ModelSpec) -> Model:
        """Load an entry's model; see `host.load`."""
        self.spec = spec
        self._on_step("loading the model", model=spec.id)
        with self._timed(self.loaded):
            model = self._load(spec)
        self.model = WatchedModel(model, self._predict)
        return self.model

    def finish(self, outage: TidemillError | None) -> None:
        """Run the sample, unless the engine did: it does if the input fails."""
        calls = self._calls
        self.called = calls[0] if calls else None
        if outage is not None:
            self.sample_error = outage if isinstance(outage, ModelUnavailable) else None
        elif len(calls) < 2 and self.spec and self.model:  # noqa: PLR2004 - the input's, the sample's
            before = len(calls)
            try:
                probe(self.spec, self.model)
            except TidemillError as error:
                self.sample_error = error
            self.sampled = calls[before] if len(calls) > before else None
            return
        self.sampled = calls[1] if len(calls) > 1 else None

    def _predict(self, model: Model, inputs: list[str]) -> list[str]:
        limit = self.spec.limits.seconds if self.spec else math.inf
        self._on_step("calling the model", limit=f"{limit:g} s")
        call = Call()
        self._calls.append(call)
        with self._timed(call):
            outputs = model.predict_all(inputs)
        if isinstance(outputs, list | tuple) and outputs and isinstance(outputs[0], str):
            call.output = str.__str__(outputs[0])
        return outputs

    @contextmanager
    def _timed(self, call: Call) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        except BaseException as error:
            call.failed = True
            call.traceback = self._traceback(error)
            raise
        finally:
            call.seconds = time.perf_counter() - start

    def _traceback(self, error: BaseException) -> str:
        """Return the traceback of what the model raised, or the stacks of its process."""
        if stacks := self._read_stacks():
            # A process that takes too long is aborted, to have it write this.
            return stacks.replace(ABORTED, HANGING) if isinstance(error, ModelTimedOut) else stacks
        if error.__cause__ is not None:
            return trace(error.__cause__)
        return "" if isinstance(error, TidemillError) else trace(error)


class WatchedModel:
    """A model whose calls go through a function; it has the attributes of the model."""

    def __init__(self, model: Model, predict: Callable[[Model, list[str]], list[str]]) -> None:
        """Take the model, and the function."""
        self._model = model
        self._predict = predict

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the model's outputs."""
        return self._predict(self._model, inputs)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a model has
        return getattr(self._model, name)
