"""Ask a second server if the first does not answer soon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    T = TypeVar("T")


async def first_answer(
    first: Coroutine[None, None, T],
    after: float,
    another: Callable[[BaseException | None], Coroutine[None, None, T] | None],
) -> T:
    """Return the first result; if there is none after some seconds, await also that of another.

    If one of both fails, the other one's result counts, and `another` gets the error and may make
    one in its place. What still runs at the end is cancelled (Dean and Barroso, "The Tail at
    Scale", 2013).

    Raises:
        Exception: Both fail; that of the last one.

    """
    started = [asyncio.ensure_future(first)]
    try:
        done, running = await asyncio.wait(started, timeout=after)
        while running and all(task.exception() for task in done):
            error = next((task.exception() for task in done), None)
            if (other := another(error)) is not None:
                started.append(asyncio.ensure_future(other))
                running.add(started[-1])
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        return min(done, key=lambda task: task.exception() is not None).result()
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)
