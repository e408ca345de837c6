from __future__ import annotations

from typing import TYPE_CHECKING

from clock import Clock
from hypothesis import given
from hypothesis import strategies as st

from tidemill.client.retries import BASE_S, LONGEST_S, Budget, wait
from tidemill.errors import (
    CannotConnect,
    InputFailed,
    RequestError,
    RequestRefused,
    RequestTimedOut,
    ServerFailed,
    ServerOverloaded,
    ServerUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = st.floats(0, 1000)
AFTERS = st.none() | SECONDS
FAILURES = st.integers(1, 100)
RETRIED = st.one_of(
    st.builds(ServerOverloaded, st.just("t"), st.just(429), st.just("d"), retry_after=AFTERS),
    st.builds(ServerUnavailable, st.just("t"), st.just(503), st.just("d"), retry_after=AFTERS),
    st.builds(CannotConnect, st.just("s"), st.just("r")),
)
FINAL = st.sampled_from(
    [
        kind("t", 400, "d")
        for kind in (InputFailed, RequestRefused, ServerFailed, RequestTimedOut, RequestError)
    ]
)


def at(share: float) -> Callable[[float, float], float]:
    """Return a draw that always has the same place between its limits."""
    return lambda low, high: low + share * (high - low)


class TestWait:
    """What failed decides whether there is another try, and when."""

    @given(RETRIED, FAILURES, st.floats(0, 1), SECONDS)
    def test_backoff(
        self, error: RequestError, failures: int, share: float, remaining: float
    ) -> None:
        """The wait is what the server asks for and a part of a doubling limit, or none in time."""
        got = wait(error, failures, is_other_free=False, remaining=remaining, draw=at(share))
        limit = min(LONGEST_S, BASE_S * 2.0 ** (failures - 1))
        expected = (error.retry_after or 0) + share * limit
        assert got == (expected if expected < remaining else None)

    @given(RETRIED, FAILURES, st.floats(0.001, 10))
    def test_another_server(self, error: RequestError, failures: int, remaining: float) -> None:
        """A server that is free is asked at once, whatever the one that failed asks for."""
        got = wait(error, failures, is_other_free=True, remaining=remaining, draw=at(1))
        assert got == 0

    @given(FINAL, FAILURES, st.booleans())
    def test_final(self, error: RequestError, failures: int, other: bool) -> None:
        """Errors that another try would repeat are final."""
        assert wait(error, failures, is_other_free=other, remaining=99, draw=at(0)) is None

    @given(FAILURES, st.booleans(), st.floats(-1000, -0.001))
    def test_pushback(self, failures: int, other: bool, after: float) -> None:
        """A negative pushback forbids another try (gRPC's proposal A6)."""
        error = ServerUnavailable("t", 503, "d", retry_after=after)
        assert wait(error, failures, is_other_free=other, remaining=99, draw=at(0)) is None


class TestBudget:
    """Retries stay a share of the requests that succeed."""

    @given(
        st.lists(st.tuples(st.sampled_from(["take", "success"]), st.floats(0, 5)), max_size=60),
        st.floats(0, 1),
        st.floats(1, 10),
        st.floats(0, 3),
    )
    def test_bound(
        self, events: list[tuple[str, float]], share: float, capacity: float, per_second: float
    ) -> None:
        """There are never more than the bucket holds, and what successes and time bring."""
        clock = Clock(0.0)
        budget = Budget(clock, share=share, capacity=capacity, per_second=per_second)
        retries = successes = 0
        for kind, pause in events:
            clock.now += pause
            if kind == "success":
                budget.add_success()
                successes += 1
            else:
                retries += budget.take()
            bound = capacity + share * successes + per_second * clock.now
            assert retries <= bound + 1e-6

    def test_outage(self) -> None:
        """If no request succeeds, the bucket is soon empty, and little comes with time."""
        clock = Clock(0.0)
        budget = Budget(clock, capacity=10, per_second=2)
        assert [budget.take() for _ in range(12)] == [True] * 10 + [False] * 2
        clock.now = 1.0
        assert [budget.take() for _ in range(3)] == [True, True, False]

    def test_share(self) -> None:
        """Successes bring their share, up to a full bucket."""
        budget = Budget(Clock(0.0), share=0.5, capacity=3, per_second=0)
        assert [budget.take() for _ in range(4)] == [True] * 3 + [False]
        for _ in range(100):
            budget.add_success()
        assert [budget.take() for _ in range(4)] == [True] * 3 + [False]
