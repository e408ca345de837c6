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
    interval: float | None = None,
) -> Iterator[tuple[Item, Result] | None]:
    """Yield each item with the function's result, in order; compute up to `ahead` results at once.

    The function runs in other threads, while this one reads the next item and uses the results.
    While a result is awaited, yield None every `interval` seconds.

    Raises:
        BaseException: Whatever the function raises, at that item's turn.

    """
    pending: deque[tuple[Item, Future[Result]]] = deque()
    threads = ThreadPoolExecutor(ahead, "ahead")
    try:
        for item in items:
            pending.append((item, threads.submit(function, item)))
            if len(pending) > ahead:
                yield from _resolve(*pending.popleft(), interval)
        while pending:
            yield from _resolve(*pending.popleft(), interval)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _resolve(
    item: Item, future: Future[Result], interval: float | None
) -> Iterator[tuple[Item, Result] | None]:
    while not wait([future], interval).done:
        yield None
    yield item, future.result()
