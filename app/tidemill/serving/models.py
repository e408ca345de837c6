"""Run batches in the pool of model processes, and know what state each model is in."""

from __future__ import annotations

import asyncio
import math
import time
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
# When to try a model again that was down, in seconds.
RETRY_S = 5.0
# The most questions at a time. Each may have to wait until its model is loaded.
MAX_QUESTIONS = 32


class Models:
    """The models, each of which is ready, down, or not tried yet; for one event loop.

    Nothing here predicts in the thread of the event loop.
    """

    def __init__(self, start: Callable[[], PooledRunner], processes: int) -> None:
        """Take what starts the pool, and how many batches it runs at once.

        Another thread starts the pool now; requests wait for it.
        """
        self._threads = ThreadPoolExecutor(processes + 1, "batches")
        # Apart, so that a question does not wait behind batches.
        self._questions = ThreadPoolExecutor(MAX_QUESTIONS, "questions")
        self._pool = self._questions.submit(start)
        self._asked: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._descriptions: dict[str, Description] = {}
        self._problems: dict[str, TidemillError | None] = {}
        self._tried: dict[str, float] = {}
        self._calls: set[Future[Any]] = {self._pool}
        self._pool.add_done_callback(self._calls.discard)
        self.is_started = False

    async def run(self, spec: ModelSpec, inputs: list[str]) -> list[Output]:
        """Return the outputs of a batch."""
        outputs = await self._call(self._threads, lambda pool: pool.run_slice(spec, [*inputs]))
        # A failure on an input says nothing about the model.
        if is_outage(outputs[-1]) or isinstance(outputs[-1].result, str):
            self._note(spec, outputs)
        return outputs

    async def problem(self, spec: ModelSpec) -> TidemillError | None:
        """Return why a model is not ready; None if it is.

        Try its sample if nothing is known about it, or if it was down some seconds ago.
        """
        known = self._problems.get(spec.id)
        is_recent = time.monotonic() - self._tried.get(spec.id, -math.inf) < RETRY_S
        if spec.id not in self._problems or (known and not is_recent):
            await self._ask("try", spec, lambda pool: pool.run_slice(spec, [None]), self._note)
        return self._problems[spec.id]

    def state(self, spec: ModelSpec) -> tuple[str, str]:
        """Return a model's state in V2's repository, and the reason for it."""
        if spec.id not in self._problems:
            return UNAVAILABLE, "not loaded yet: the first request loads it"
        problem = self._problems[spec.id]
        return (READY, "") if problem is None else (UNAVAILABLE, problem.message)

    async def try_all(self, specs: Iterable[ModelSpec]) -> None:
        """Run models on their samples, log what is wrong with them, and ask for descriptions.

        Raises:
            PoolUnavailable: There is no pool.

        """
        await asyncio.wrap_future(self._pool)
        down = []
        for spec in specs:
            if error := await self.problem(spec):
                log.error(error.message, **log_fields(error), exc_info=error)
                down.append(spec.id)
            else:  # later, a request would have to wait for an idle process
                with suppress(TidemillError):
                    await self.describe(spec)
        self.is_started = True
        if down:
            log.warning(
                "ready, except for models that do not work", count=len(down), first=down[:5]
            )
        else:
            log.info("ready")

    def doubt(self, spec: ModelSpec) -> int:
        """Return a number that is higher if it is less likely that a model can be described."""
        if spec.id in self._descriptions:
            return 0
        return 2 if self._problems.get(spec.id) else 1

    async def describe(self, spec: ModelSpec) -> Description:
        """Return a model's sample and schemas.

        Raises:
            TidemillError: The model does not load.

        """
        if spec.id not in self._descriptions:
            await self._ask(
                "describe", spec, lambda pool: pool.describe(spec), self._note_description
            )
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
        self, threads: ThreadPoolExecutor, function: Callable[[PooledRunner], T]
    ) -> asyncio.Future[T]:
        """Call a function with the pool in another thread."""
        call = threads.submit(lambda: function(self._pool.result()))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return asyncio.wrap_future(call)

    async def _ask(
        self,
        kind: str,
        spec: ModelSpec,
        function: Callable[[PooledRunner], T],
        note: Callable[[ModelSpec, T], None],
    ) -> None:
        """Ask the pool about a model, and note the answer, even if whoever asks gives up.

        All who ask the same meanwhile share one question.
        """
        key = kind, spec.id

        def end(asked: asyncio.Future[T]) -> None:
            del self._asked[key]
            if asked.cancelled():
                return
            error = asked.exception()
            if error is None:
                note(spec, asked.result())
            elif isinstance(error, TidemillError):
                self._note_problem(spec, error)

        if key not in self._asked:
            self._asked[key] = self._call(self._questions, function)
            self._asked[key].add_done_callback(end)
        await asyncio.shield(self._asked[key])

    def _note(self, spec: ModelSpec, outputs: list[Output]) -> None:
        result = outputs[-1].result
        self._note_problem(spec, result if isinstance(result, TidemillError) else None)

    def _note_description(self, spec: ModelSpec, description: Description) -> None:
        self._descriptions[spec.id] = description

    def _note_problem(self, spec: ModelSpec, problem: TidemillError | None) -> None:
        self._problems[spec.id] = problem
        self._tried[spec.id] = time.monotonic()
