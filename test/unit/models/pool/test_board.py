from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.pool.board import ENDS, NO_DEADLINE, TIMED_OUT, Board

CODE = st.integers(-64, 255)


class TestDeadline:
    @pytest.mark.parametrize(
        ("deadline", "is_overdue"), [(NO_DEADLINE, False), (9.0, True), (10.0, False), (11, False)]
    )
    def test_overdue(self, deadline: float, is_overdue: bool) -> None:
        """A process is overdue after its deadline, if it has one; the others are not."""
        board = Board(3)
        board.set_deadline(1, deadline)
        assert [board.is_overdue(number, 10.0) for number in range(3)] == [False, is_overdue, False]


class TestEnds:
    @given(st.dictionaries(st.integers(1, 2**22), CODE | st.just(TIMED_OUT), max_size=50))
    def test_codes(self, codes: dict[int, int]) -> None:
        """The board knows how each process ended, and of no other one."""
        board = Board(1)
        for pid, code in codes.items():
            board.note_end(pid, code)
        assert {pid: board.code_of(pid) for pid in codes} == codes
        assert board.code_of(2**22 + 1) is None

    def test_killed_at_deadline(self) -> None:
        """The kill that follows from a missed deadline does not hide it."""
        board = Board(1)
        board.note_end(7, TIMED_OUT)
        board.note_end(7, -9)
        assert board.code_of(7) == TIMED_OUT

    def test_oldest_are_forgotten(self) -> None:
        """The board has a fixed size."""
        board = Board(1)
        for pid in range(1, ENDS + 3):
            board.note_end(pid, 3)
        assert [board.code_of(pid) for pid in (1, 2, 3, ENDS + 2)] == [None, None, 3, 3]


def test_shared() -> None:
    """A fork sees what its parent writes later, and the reverse."""
    board = Board(2)
    board.set_deadline(1, 5.0)
    ready, signal_ready = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(ready, 1)
        board.set_deadline(0, 5.0 if board.code_of(1) == 3 else NO_DEADLINE)
        os._exit(0)
    board.note_end(1, 3)
    os.write(signal_ready, b"1")
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(signal_ready)
    assert board.is_overdue(0, 6.0)
    assert board.is_overdue(1, 6.0)
