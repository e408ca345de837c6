"""Hedging, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st

from tidemill.client.hedge import first_answer

if TYPE_CHECKING:
    from collections.abc import Coroutine

ENDED: list[str] = []
# After how many seconds a call ends, and whether it fails.
CALLS = st.tuples(st.integers(0, 10), st.booleans())


async def call(name: str, seconds: float, *, fails: bool = False) -> str:
    """Return a name after some seconds, or fail."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        ENDED.append(name)
        raise
    if fails:
        raise OSError(name)
    return name


async def hedged(
    first: tuple[float, bool], *others: tuple[float, bool]
) -> tuple[str | None, float, int]:
    """Return the result of hedged calls, after how long, and how many others there were."""
    waiting = list(enumerate(others, 1))

    def another(_: object) -> Coroutine[None, None, str] | None:
        if not waiting:
            return None
        index, (seconds, fails) = waiting.pop(0)
        return call(f"call {index}", seconds, fails=fails)

    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        result = await first_answer(call("call 0", first[0], fails=first[1]), 5, another)
    except OSError:
        result = None
    return result, loop.time() - start, len(others) - len(waiting)


@pytest.fixture(autouse=True)
def _nothing_ended() -> None:
    ENDED.clear()


class TestFirstAnswer:
    """The first result counts."""

    def test_in_time(self) -> None:
        """A call that answers soon has no second one."""
        assert virtual_time.run(hedged((4, False), (0, False))) == ("call 0", 4, 0)

    def test_hung(self) -> None:
        """The second call answers for one that hangs, which is then cancelled."""
        assert virtual_time.run(hedged((1e9, False), (1, False))) == ("call 1", 6, 1)
        assert ENDED == ["call 0"]

    def test_slow(self) -> None:
        """The first call may still answer before the second, which is then cancelled."""
        assert virtual_time.run(hedged((6, False), (2, False))) == ("call 0", 6, 1)
        assert ENDED == ["call 1"]

    def test_hedge_fails(self) -> None:
        """If the second call fails, a third takes its place, while the first goes on."""
        assert virtual_time.run(hedged((9, False), (1, True), (1, False))) == ("call 2", 7, 2)

    def test_alone(self) -> None:
        """If there is no second call, the first one goes on."""
        assert virtual_time.run(hedged((9, False))) == ("call 0", 9, 0)

    @given(CALLS, st.lists(CALLS, max_size=3))
    def test_any(self, first: tuple[int, bool], others: list[tuple[int, bool]]) -> None:
        """There is a result if the calls that ran had one, and never more than two run at once."""
        result, _, count = virtual_time.run(hedged(first, *others))
        started = [first, *others[:count]]
        assert (result is None) == all(fails for _, fails in started)

    def test_cancelled(self) -> None:
        """If the caller is cancelled, so are both calls."""

        async def cancelled() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(7):
                    await hedged((99, False), (99, False))

        virtual_time.run(cancelled())
        assert sorted(ENDED) == ["call 0", "call 1"]
