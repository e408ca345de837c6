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


class Models:
    """The models, each of which is ready, down, or not tried yet; for one event loop.

    Nothing here predicts in the thread of the event loop.
    """

    def __init__(self, pool: PooledRunner, processes: int) -> None:
        """Take the pool, and how many batches it runs at once."""
        self._pool = pool
        self._threads = ThreadPoolExecutor(processes + 1, "batches")
        # Apart, so that a question does not wait behind batches.
        self._questions = ThreadPoolExecutor(4, "questions")
        self._descriptions: dict[str, asyncio.Future[Description]] = {}
        self._problems: dict[str, TidemillError | None] = {}
        self._calls: set[Future[Any]] = set()
        self.is_started = False

    async def run(self, spec: ModelSpec, inputs: list[str]) -> list[Output]:
        """Return the outputs of a batch."""
        return await self._run(self._threads, spec, list(inputs))

    async def problem(self, spec: ModelSpec) -> TidemillError | None:
        """Return why a model is not ready; None if it is. Try its sample if nothing is known."""
        if spec.id not in self._problems:
            await self._run(self._questions, spec, [None])
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
        """Return a model's sample and schemas; all who wait for them share one question.

        Raises:
            TidemillError: The model does not load.

        """
        asked = self._descriptions.get(spec.id)
        if asked is None or (asked.done() and (asked.cancelled() or asked.exception())):
            asked = self._call(self._questions, self._pool.describe, spec)
            self._descriptions[spec.id] = asked
        return await asyncio.shield(asked)

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

    async def _run(
        self, threads: ThreadPoolExecutor, spec: ModelSpec, inputs: list[str | None]
    ) -> list[Output]:
        outputs = await self._call(threads, self._pool.run_slice, spec, inputs)
        last = outputs[-1].result
        # A failure on an input says nothing about the model, unless the input is its sample.
        if is_outage(outputs[-1]) or inputs[0] is None:
            self._problems[spec.id] = last if isinstance(last, TidemillError) else None
        elif isinstance(last, str):
            self._problems[spec.id] = None
        return outputs
