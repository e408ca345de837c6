"""Keep large work off the event loop, which it would hold up for everyone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

# Reading or writing so many bytes, or checking so many elements, takes about a millisecond.
LARGE_BYTES, LARGE_COUNT = 256 * 1024, 10_000


async def call(is_large: bool, function: Callable[..., T], *arguments: object) -> T:  # noqa: FBT001
    """Call a function, in another thread if its work is large."""
    if is_large:
        return await asyncio.to_thread(function, *arguments)
    return function(*arguments)
