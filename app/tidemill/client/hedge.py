"""Start a second call if the first has no result soon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    T = TypeVar("T")


async def first_answer(
    first: Coroutine[None, None, T],
    after: float,
    second: Callable[[], Coroutine[None, None, T] | None],
) -> T:
    """Return the first result; if there is none after some seconds, await also the second call.

    `second` may return None. If one call fails, the result of the other counts. What still runs at
    the end is cancelled (Dean and Barroso, "The Tail at Scale", 2013).

    Raises:
        Exception: Both fail; that of the last one.

    """
    started = [asyncio.ensure_future(first)]
    try:
        done, running = await asyncio.wait(started, timeout=after)
        if not done and (other := second()) is not None:
            started.append(asyncio.ensure_future(other))
            running = set(started)
        while running and all(task.exception() for task in done):
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        return min(done, key=lambda task: task.exception() is not None).result()
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)
