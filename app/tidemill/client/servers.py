"""Choose the server for a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.client.rendezvous import ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tidemill.client.endpoints import Endpoint

# A server that fails is avoided for this time, which doubles with each failure after another.
AVOID_S, AVOID_LONGEST_S = 1.0, 30.0
MAX_ORDERS = 1024


@dataclass(slots=True)
class Server:
    """A server, and how it has been doing."""

    endpoint: Endpoint
    failures: int = 0  # since its last answer
    failed_at: float = 0.0
    avoided_until: float = 0.0
    last_answer: float = 0.0

    @property
    def url(self) -> str:
        """Return its address with the scheme."""
        return self.endpoint.url


class Servers:
    """The servers that there are at present."""

    def __init__(self, endpoints: Iterable[Endpoint], clock: Callable[[], float]) -> None:
        """Take the servers, and a clock in seconds."""
        self._clock = clock
        self._known: dict[str, Server] = {}
        self._orders: dict[str, list[str]] = {}
        self.replace(endpoints)

    def __len__(self) -> int:
        return len(self._known)

    def replace(self, endpoints: Iterable[Endpoint]) -> list[Server]:
        """Take other servers; those that stay keep their state. Return those that are gone."""
        last, self._known = self._known, {}
        for each in endpoints:
            self._known[each.url] = last.get(each.url) or Server(each)
        if self._known.keys() != last.keys():
            self._orders.clear()
        return [server for url, server in last.items() if url not in self._known]

    def choose(self, model: str, tried: Collection[str] = ()) -> Server | None:
        """Return the first server in the model's order that has not been tried; None if all have.

        Servers that failed come last for a time, those first whose time is over soonest. Once it is
        over, one request finds out whether the server is back; the others avoid it as long again.
        """
        now = self._clock()
        free = [self._known[url] for url in self._order(model) if url not in tried]
        chosen = min(free, key=lambda server: max(0, server.avoided_until - now), default=None)
        if chosen is not None and chosen.failures and chosen.avoided_until <= now:
            chosen.avoided_until = now + _avoided(chosen.failures)
        return chosen

    def is_other_free(self, model: str, tried: Collection[str]) -> bool:
        """Tell whether a server is left that has neither been tried nor failed of late."""
        now = self._clock()
        return any(
            url not in tried and self._known[url].avoided_until <= now for url in self._order(model)
        )

    def note_answer(self, server: Server) -> None:
        """Note that a server has answered."""
        server.failures, server.avoided_until = 0, 0.0
        server.last_answer = self._clock()

    def note_failure(self, server: Server, since: float) -> None:
        """Note that a server failed at a request that began at a time, unless it answered others.

        Requests that fail together count once.
        """
        if server.last_answer > since or server.failed_at > since:
            return
        server.failures += 1
        server.failed_at = self._clock()
        server.avoided_until = server.failed_at + _avoided(server.failures)

    def _order(self, model: str) -> list[str]:
        if model not in self._orders:
            if len(self._orders) >= MAX_ORDERS:
                self._orders.clear()
            self._orders[model] = ordered(model, self._known)
        return self._orders[model]


def _avoided(failures: int) -> float:
    return min(AVOID_LONGEST_S, AVOID_S * 2.0 ** min(failures - 1, 10))
