"""Run batches in the pool of model processes, and know what state each model is in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from tidemill.errors import TidemillError, log_fields
from tidemill.inference.batch import is_outage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output
    from tidemill.models.pool.client import PooledRunner
    from tidemill.models.pool.outputs import Description

    T = TypeVar("T")

log = structlog.get_logger(__name__)

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
# The most questions at a time. Each may have to wait until its model is loaded.
MAX_QUESTIONS = 32


class Models:
    """The models, each of which is ready, down, or not tried yet; for one event loop.

    Nothing here predicts in the thread of the event loop.
    """

    def __init__(self, pool: PooledRunner, processes: int) -> None:
        """Take the pool, and how many batches it runs at once."""
        self._pool = pool
        self._threads = ThreadPoolExecutor(processes + 1, "batches")
        # Apart, so that a question does not wait behind batches.
        self._questions = ThreadPoolExecutor(MAX_QUESTIONS, "questions")
        self._asked: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._descriptions: dict[str, Description] = {}
        self._problems: dict[str, TidemillError | None] = {}
        self._calls: set[Future[Any]] = set()
        self.is_started = False

    async def run(self, spec: ModelSpec, inputs: list[str]) -> list[Output]:
        """Return the outputs of a batch."""
        outputs = await self._call(self._threads, self._pool.run_slice, spec, list(inputs))
        # A failure on an input says nothing about the model.
        if is_outage(outputs[-1]) or isinstance(outputs[-1].result, str):
            self._note(spec, outputs[-1])
        return outputs

    async def problem(self, spec: ModelSpec) -> TidemillError | None:
        """Return why a model is not ready; None if it is. Try its sample unless it worked last."""
        if spec.id not in self._problems or self._problems[spec.id]:
            (output,) = await self._ask("try", spec, self._pool.run_slice, [None])
            self._note(spec, output)
        return self._problems[spec.id]

    def state(self, spec: ModelSpec) -> tuple[str, str]:
        """Return a model's state in V2's repository, and the reason for it."""
        if spec.id not in self._problems:
            return UNAVAILABLE, "not loaded yet: the first request loads it"
        problem = self._problems[spec.id]
        return (READY, "") if problem is None else (UNAVAILABLE, problem.message)

    async def try_all(self, specs: Iterable[ModelSpec]) -> None:
        """Run models on their samples, log what is wrong with them, and ask for descriptions."""
        for spec in specs:
            if error := await self.problem(spec):
                log.error(error.message, **log_fields(error), exc_info=error)
            else:  # later, a request would have to wait for an idle process
                with suppress(TidemillError):
                    await self.describe(spec)
        self.is_started = True

    async def describe(self, spec: ModelSpec) -> Description:
        """Return a model's sample and schemas.

        Raises:
            TidemillError: The model does not load.

        """
        if spec.id not in self._descriptions:
            described = await self._ask("describe", spec, self._pool.describe)
            self._descriptions[spec.id] = described
        return self._descriptions[spec.id]

    def close(self) -> None:
        """End the threads when they are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._questions.shutdown(wait=False, cancel_futures=True)

    @property
    def is_busy(self) -> bool:
        """Tell whether a thread waits for the pool. Python does not end before it."""
        return bool(self._calls)

    def _call(
        self, threads: ThreadPoolExecutor, function: Callable[..., T], *arguments: object
    ) -> asyncio.Future[T]:
        """Call a function of the pool in another thread."""
        call = threads.submit(function, *arguments)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return asyncio.wrap_future(call)

    async def _ask(
        self, kind: str, spec: ModelSpec, function: Callable[..., T], *arguments: object
    ) -> T:
        """Ask the pool about a model; all who ask the same meanwhile share one question."""
        key = kind, spec.id
        if key not in self._asked:
            self._asked[key] = self._call(self._questions, function, spec, *arguments)
            self._asked[key].add_done_callback(lambda _: self._asked.pop(key))
        answer: T = await asyncio.shield(self._asked[key])  # whoever gives up stops nobody else
        return answer

    def _note(self, spec: ModelSpec, output: Output) -> None:
        result = output.result
        self._problems[spec.id] = result if isinstance(result, TidemillError) else None
