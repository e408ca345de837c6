"""Compute results ahead of their use, in other threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    ahead: int = 2,
    idle: tuple[Item, Result] | None = None,
    interval: float | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the function's result, in order; compute up to `ahead` results at once.

    The function runs in other threads, while this one reads the next item and uses the results.
    While this thread waits for a result, yield `idle` every `interval` seconds, if they are given.

    Raises:
        BaseException: Whatever the function raises, at that item's turn.

    """

    def resolve(item: Item, future: Future[Result]) -> Iterator[tuple[Item, Result]]:
        while wait([future], interval).not_done:
            if idle is not None:
                yield idle
        yield item, future.result()

    pending: deque[tuple[Item, Future[Result]]] = deque()
    threads = ThreadPoolExecutor(ahead, "ahead")
    try:
        for item in items:
            pending.append((item, threads.submit(function, item)))
            if len(pending) > ahead:
                yield from resolve(*pending.popleft())
        while pending:
            yield from resolve(*pending.popleft())
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
