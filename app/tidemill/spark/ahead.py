"""Compute results ahead of their use, in other threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 2
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the function's result, in order; compute up to `ahead` results at once.

    The function runs in other threads, while this one reads the next item and uses the results.

    Raises:
        BaseException: Whatever the function raises, at that item's turn.

    """
    pending: deque[tuple[Item, Future[Result]]] = deque()
    threads = ThreadPoolExecutor(ahead, "ahead")
    try:
        for item in items:
            pending.append((item, threads.submit(function, item)))
            if len(pending) > ahead:
                yield _resolve(pending.popleft())
        while pending:
            yield _resolve(pending.popleft())
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _resolve(computed: tuple[Item, Future[Result]]) -> tuple[Item, Result]:
    item, future = computed
    return item, future.result()
