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
    first: tuple[float, bool], other: tuple[float, bool] | None = None
) -> tuple[str | None, float]:
    """Return the result of hedged calls, and after how long."""

    def second() -> Coroutine[None, None, str] | None:
        return call("call 1", other[0], fails=other[1]) if other else None

    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        result = await first_answer(call("call 0", first[0], fails=first[1]), 5, second)
    except OSError:
        result = None
    return result, loop.time() - start


@pytest.fixture(autouse=True)
def _nothing_ended() -> None:
    ENDED.clear()


class TestFirstAnswer:
    """The first result counts."""

    def test_in_time(self) -> None:
        """A call that answers soon has no second one."""
        assert virtual_time.run(hedged((4, False), (0, False))) == ("call 0", 4)

    def test_hung(self) -> None:
        """The second call answers for one that hangs, which is then cancelled."""
        assert virtual_time.run(hedged((1e9, False), (1, False))) == ("call 1", 6)
        assert ENDED == ["call 0"]

    def test_slow(self) -> None:
        """The first call may still answer before the second, which is then cancelled."""
        assert virtual_time.run(hedged((6, False), (2, False))) == ("call 0", 6)
        assert ENDED == ["call 1"]

    @pytest.mark.parametrize(
        ("first", "second"), [((9, False), (1, True)), ((7, True), (4, False))]
    )
    def test_one_fails(self, first: tuple[float, bool], second: tuple[float, bool]) -> None:
        """If one call fails, the result of the other counts."""
        name = f"call {int(first[1])}"
        assert virtual_time.run(hedged(first, second)) == (name, 9)

    def test_alone(self) -> None:
        """If there is no second call, the first one goes on."""
        assert virtual_time.run(hedged((9, False))) == ("call 0", 9)

    @given(CALLS.filter(lambda call: call[0] != 5), st.none() | CALLS)
    def test_any(self, first: tuple[int, bool], second: tuple[int, bool] | None) -> None:
        """There is the first result of the calls that started, as soon as it is there."""
        result, after = virtual_time.run(hedged(first, second))
        ends = [first]
        if second and first[0] > 5:
            ends.append((5 + second[0], second[1]))
        good = [seconds for seconds, fails in ends if not fails]
        assert (result is None) == (not good)
        assert after == (min(good) if good else max(seconds for seconds, _ in ends))

    def test_cancelled(self) -> None:
        """If the caller is cancelled, so are both calls."""

        async def cancelled() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(7):
                    await hedged((99, False), (99, False))

        virtual_time.run(cancelled())
        assert sorted(ENDED) == ["call 0", "call 1"]
