"""An event loop whose clock jumps to the next timer instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from tidemill.inference.model import ModelSpec
    from tidemill.serving.batcher import Batcher

T = TypeVar("T")


class VirtualSelector(selectors.DefaultSelector):
    """Advance the clock by the time for which the loop would have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return at once."""
        assert timeout is not None, "nothing is left to wait for"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time."""

    def __init__(self) -> None:
        """Begin at time 0."""
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual.now


async def drained(batcher: Batcher, specs: Iterable[ModelSpec]) -> None:
    """Return once no task runs, and no input waits for one of some models."""
    models = [spec.id for spec in specs]
    while len(asyncio.all_tasks()) > 1 or any(map(batcher.waiting, models)):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
