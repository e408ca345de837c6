from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.pool.state import EXITS, NO_DEADLINE, TIMED_OUT, SharedState

CODE = st.integers(-64, TIMED_OUT)


class TestDeadline:
    @pytest.mark.parametrize(
        ("deadline", "is_overdue"), [(NO_DEADLINE, False), (9.0, True), (10.0, False), (11, False)]
    )
    def test_overdue(self, deadline: float, is_overdue: bool) -> None:
        """A process is overdue after its deadline, if it has one; the others are not."""
        state = SharedState(3)
        state.set_deadline(1, deadline)
        assert [state.is_overdue(number, 10.0) for number in range(3)] == [False, is_overdue, False]


class TestExits:
    @given(st.dictionaries(st.integers(1, 2**22), CODE, max_size=50))
    def test_codes(self, codes: dict[int, int]) -> None:
        """It is known how each process ended, and of no other one."""
        state = SharedState(1)
        for pid, code in codes.items():
            state.add_exit(pid, code)
        assert {pid: state.exit_code(pid) for pid in codes} == codes
        assert state.exit_code(2**22 + 1) is None

    def test_oldest_are_forgotten(self) -> None:
        """The memory has a fixed size."""
        state = SharedState(1)
        for pid in range(1, EXITS + 3):
            state.add_exit(pid, 3)
        assert [state.exit_code(pid) for pid in (1, 2, 3, EXITS + 2)] == [None, None, 3, 3]


def test_shared() -> None:
    """A fork sees what its parent writes later, and the reverse."""
    state = SharedState(2)
    state.set_deadline(1, 5.0)
    ready, signal_ready = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(ready, 1)
        state.set_deadline(0, 5.0 if state.exit_code(1) == 3 else NO_DEADLINE)
        os._exit(0)
    state.add_exit(1, 3)
    os.write(signal_ready, b"1")
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(signal_ready)
    assert state.is_overdue(0, 6.0)
    assert state.is_overdue(1, 6.0)
