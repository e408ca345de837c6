from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.ahead import map_ahead

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

TIMEOUT_S = 60


def is_soon(condition: threading.Event) -> bool:
    """Return whether something happens within a generous time."""
    return condition.wait(TIMEOUT_S)


class Reader:
    """Items that note how far they are read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        for item in range(self.count):
            self.read += 1
            yield item


class TestOrder:
    """Each item comes with its result, in order."""

    @settings(max_examples=30)
    @given(st.lists(st.sampled_from([0.0, 0.001, 0.003]), max_size=8), st.integers(1, 4))
    def test_any_speed(self, delays: list[float], ahead: int) -> None:
        """A result that is computed late keeps its place."""

        def slowly(item: tuple[int, float]) -> int:
            time.sleep(item[1])
            return item[0]

        items = list(enumerate(delays))
        assert list(map_ahead(slowly, items, ahead=ahead)) == [(item, item[0]) for item in items]

    def test_overtaken(self) -> None:
        """The second result is computed first, and comes second."""
        second = threading.Event()

        def second_first(item: int) -> bool:
            if item == 0:
                return is_soon(second)
            second.set()
            return True

        assert list(map_ahead(second_first, [0, 1])) == [(0, True), (1, True)]


class TestAhead:
    """Results are computed while earlier ones are used, but not without limit."""

    @pytest.mark.parametrize("ahead", [1, 2, 5])
    def test_items(self, ahead: int) -> None:
        """It reads so many items more than it has yielded."""
        items = Reader(9)
        results = map_ahead(str, items, ahead=ahead)
        assert items.read == 0
        for item, result in filter(None, results):
            assert result == str(item)
            assert items.read == min(item + 1 + ahead, 9)

    @pytest.mark.parametrize("ahead", [1, 3])
    def test_at_once(self, ahead: int) -> None:
        """So many results are computed at once, while the caller uses an earlier one."""
        together = threading.Barrier(ahead)

        def compute(item: int) -> int:
            return item if item == 0 else together.wait(TIMEOUT_S)

        results = map_ahead(compute, range(1 + ahead), ahead=ahead)
        assert next(results) == (0, 0)
        together_after = list(results)
        assert sorted(index for _, index in filter(None, together_after)) == list(range(ahead))

    def test_reading_thread(self) -> None:
        """Items are read in the caller's thread, which may hold a transaction."""
        threads = set()

        def items() -> Iterator[int]:
            for item in range(4):
                threads.add(threading.current_thread())
                yield item

        computing = {
            thread
            for _, thread in filter(None, map_ahead(lambda _: threading.get_ident(), items()))
        }
        assert threads == {threading.current_thread()}
        assert threading.get_ident() not in computing

    def test_waiting(self) -> None:
        """None is yielded again and again while a result is awaited, and only then."""
        enough = threading.Event()
        results = map_ahead(lambda item: item or is_soon(enough), [0, 1], interval=0.001)
        assert [next(results) for _ in range(3)] == [None] * 3
        enough.set()
        assert [each for each in results if each] == [(0, True), (1, 1)]


class TestFailure:
    """An exception is raised at its item's turn."""

    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
    def test_function(self, error: BaseException) -> None:
        """The results before it are yielded first, although it was raised earlier."""
        raised = threading.Event()

        def fail_at_two(item: int) -> int:
            if item == 2:
                raised.set()
                raise error
            return item

        results = map_ahead(fail_at_two, range(5))
        assert next(results) == (0, 0)
        assert is_soon(raised)
        assert next(results) == (1, 1)
        with pytest.raises(type(error)) as caught:
            next(results)
        assert caught.value is error
        assert list(results) == []

    def test_items(self) -> None:
        """An exception while items are read is passed on; results not yet yielded are lost."""

        def items() -> Iterator[int]:
            yield 0
            yield 1
            yield 2
            raise OSError("no more")

        results = map_ahead(str, items())
        assert next(results) == (0, "0")
        with pytest.raises(OSError, match="no more"):
            next(results)


class TestClose:
    """A caller may stop early, as Spark does if it cancels a task."""

    def test_waits_for_nothing(self) -> None:
        """Closing returns although a result is still being computed."""
        begun, closed, ended = threading.Event(), threading.Event(), threading.Event()
        was_closed = []

        def block(item: int) -> int:
            if item == 1:
                begun.set()
                was_closed.append(is_soon(closed))
                ended.set()
            return item

        results: Generator[tuple[int, int]] = map_ahead(block, range(9))  # type: ignore[assignment]
        with closing(results):
            assert next(results) == (0, 0)
            assert is_soon(begun)
        closed.set()
        assert is_soon(ended)
        assert was_closed == [True]

    def test_threads(self) -> None:
        """No thread is left after the last result."""
        before = threading.active_count()
        assert len(list(map_ahead(str, range(5)))) == 5
        deadline = time.monotonic() + TIMEOUT_S
        while threading.active_count() > before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
