"""Cut rows into requests, and keep their answers in order."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    T = TypeVar("T")
    Running = TypeVar("Running")


def rows(table: Any) -> Iterator[object]:  # noqa: ANN401 - a DataFrame of pandas, or anything
    """Yield the rows of a DataFrame as objects, or the values of an iterable.

    Raises:
        TypeError: It is none, or a text, bytes or an object, whose parts are not meant.

    """
    is_one = isinstance(table, str | bytes | bytearray | dict)
    if is_one or not (hasattr(table, "__iter__") or hasattr(table, "__getitem__")):
        raise TypeError(f"`inputs` must be a list of inputs, not {type(table).__name__}")
    if not hasattr(table, "itertuples"):
        yield from table
        return
    names = [str(name) for name in table.columns]
    for row in table.itertuples(index=False, name=None):
        yield dict(zip(names, row, strict=True))


def batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the values in lists of a size; the last may be shorter.

    Raises:
        ValueError: The size is less than one.

    """
    if size < 1:
        raise ValueError(f"`batch_size` must be at least 1, not {size}")
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def in_order(
    waiting: Iterable[T], start: Callable[[T], Running], at_once: int
) -> Iterator[Running]:
    """Start something for each value, at most so many at once, and yield what runs, in order.

    The caller waits for each before it asks for the next.
    """
    running: deque[Running] = deque()
    for each in waiting:
        running.append(start(each))
        if len(running) >= at_once:
            yield running.popleft()
    yield from running


class Pace:
    """Spaces the starts of requests."""

    def __init__(self, delay: float, clock: Callable[[], float]) -> None:
        """Take the seconds between two starts."""
        self._delay = delay
        self._clock = clock
        self._due = clock()

    def wait(self) -> float:
        """Return the seconds until the next start."""
        now = self._clock()
        start = max(now, self._due)
        self._due = start + self._delay
        return start - now
