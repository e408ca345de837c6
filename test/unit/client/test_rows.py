from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clock import Clock
from hypothesis import given
from hypothesis import strategies as st

from tidemill.client.rows import Pace, batches, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator


@given(st.lists(st.integers()), st.integers(1, 9))
def test_batches(values: list[int], size: int) -> None:
    """Batches have all values in order, and are full but for the last."""
    cut = list(batches(values, size))
    assert [value for batch in cut for value in batch] == values
    assert all(len(batch) == size for batch in cut[:-1])
    assert all(cut)


def test_no_size() -> None:
    """A size of nothing is a mistake, not the end."""
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, not 0"):
        list(batches("abc", 0))


@given(st.integers(0, 30), st.integers(1, 9))
def test_in_order(count: int, at_once: int) -> None:
    """All run in order, at most so many at once, and are read only when they are needed."""
    started: list[int] = []
    finished: list[int] = []

    def source() -> Iterator[int]:
        for number in range(count):
            assert number <= len(finished) + at_once
            yield number

    for running in in_order(source(), lambda n: started.append(n) or n, at_once):  # type: ignore[func-returns-value]
        assert len(started) - len(finished) <= at_once
        finished.append(running)
    assert started == finished == list(range(count))


def test_pace() -> None:
    """Starts are so many seconds apart; time that was not used is not made up for."""
    clock = Clock(0.0)
    pace = Pace(2.0, clock)
    assert [pace.wait() for _ in range(3)] == [0, 2, 4]
    clock.now = 5.0
    assert pace.wait() == 1
    clock.now = 50.0
    assert [pace.wait(), pace.wait()] == [0, 2]
