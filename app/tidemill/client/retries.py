"""Decide whether and when to try again: pure functions of time, chance and what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.errors import RequestError

BASE_S, LONGEST_S = 0.1, 5.0


def wait(
    error: RequestError,
    failures: int,
    *,
    is_other_free: bool,
    remaining: float,
    draw: Callable[[float, float], float],
) -> float | None:
    """Return the seconds to wait before the next try; None if there should be none.

    A server that has not been tried is asked at once. Otherwise the wait is what the server asked
    for, and on top a random part of a limit that doubles with each failure ("full jitter", Brooker,
    2015), so that clients that failed together do not come back together. `draw` returns a random
    number between two.
    """
    if not error.may_retry or (error.retry_after or 0) < 0:
        return None
    if is_other_free:
        return 0.0 if remaining > 0 else None
    limit = min(LONGEST_S, BASE_S * 2 ** min(failures - 1, 10))
    seconds = (error.retry_after or 0) + draw(0, limit)
    return seconds if seconds < remaining else None


class Budget:
    """Allow as many retries as a share of the requests that succeed.

    Without it, clients multiply the load of servers that fail. A token bucket, as gRPC's retry
    throttling (proposal A6): a retry takes a token, a success brings a part of one. Besides, a few
    come with time, as in Finagle, so that a client that sends little may retry too. Up to a time t,
    there are at most `capacity + share * successes + per_second * t` retries.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        share: float = 0.2,
        capacity: float = 100,
        per_second: float = 10,
    ) -> None:
        """Begin with a full bucket."""
        self._clock = clock
        self._share = share
        self._capacity = capacity
        self._per_second = per_second
        self._tokens = capacity
        self._last = clock()

    def add_success(self) -> None:
        """Add a part of a token."""
        self._add(self._share)

    def take(self) -> bool:
        """Take the token of a retry; return False if there is none."""
        now = self._clock()
        self._add(self._per_second * (now - self._last))
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _add(self, tokens: float) -> None:
        self._tokens = min(self._capacity, self._tokens + tokens)
