"""Send a request until a server has answered it: choose servers, retry, hedge."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tidemill.client.hedge import first_answer
from tidemill.client.retries import wait
from tidemill.errors import CannotConnect, RequestError, RequestTimedOut, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tidemill.client.answer import Answer
    from tidemill.client.call import Call
    from tidemill.client.discovery import Discovery
    from tidemill.client.endpoints import Endpoint
    from tidemill.client.retries import Budget
    from tidemill.client.servers import Server, Servers

TIMED_OUT = 504


class Transport(Protocol):
    """Sends one request to one server."""

    async def send(self, endpoint: Endpoint, call: Call, seconds: float) -> list[Answer]:
        """Return the server's answers, which may take some seconds.

        Raises:
            RequestError: There are none.
            TimeoutError: The time is over.

        """

    def forget(self, endpoint: Endpoint) -> None:
        """Keep no connection to a server."""

    async def close(self) -> None:
        """Close all connections."""


@dataclass(slots=True)
class Progress:
    """How far a request has come.

    `asking` has the servers that are being asked, and since when.
    """

    call: Call
    deadline: float
    tried: set[str] = field(default_factory=set)
    asking: dict[str, tuple[Server, float]] = field(default_factory=dict)
    last: RequestError | None = None


class Sender:
    """Sends requests to servers."""

    def __init__(
        self,
        servers: Servers,
        transport: Callable[[str], Transport],
        budget: Budget,
        clock: Callable[[], float],
        discovery: Discovery,
    ) -> None:
        """Take the servers, the transport of a scheme, and what keeps the servers up to date."""
        self._servers = servers
        self._transport = transport
        self._budget = budget
        self._clock = clock
        self._discovery = discovery

    async def send(self, call: Call, seconds: float, hedge_after: float | None) -> list[Answer]:
        """Return the answers to a request, which may take some seconds with all its retries.

        Raises:
            RequestError: There are none.

        """
        progress = Progress(call, self._clock() + seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._discovery.ready()
                answers = await self._tries_or_hedge(progress, hedge_after)
        except TimeoutError:
            self._note_hung(progress)
            last = progress.last
            before = f"; the last try: {last.detail}" if last and last.status != TIMED_OUT else ""
            text = f"no answer within {seconds:.3g} s{before}"
            raise RequestTimedOut("DeadlineExceeded", TIMED_OUT, text) from last
        self._note_hung(progress)
        self._budget.add_success()
        return answers

    async def _tries_or_hedge(self, progress: Progress, after: float | None) -> list[Answer]:
        """Try until there are answers; after some seconds, try other servers at the same time.

        Raises:
            RequestError: There are none.

        """
        if after is None:
            return await self._tries(progress)

        def hedge() -> Coroutine[None, None, list[Answer]] | None:
            has_other = len(self._servers) > len(progress.asking)
            return self._tries(progress) if has_other and self._budget.take() else None

        return await first_answer(self._tries(progress), after, hedge)

    async def _tries(self, progress: Progress) -> list[Answer]:
        """Ask one server after another until there are answers.

        Raises:
            RequestError: There are none, and there should be no other try.

        """
        model, failures = progress.call.model, 0
        while True:
            server = self._servers.choose(model, progress.tried | progress.asking.keys())
            if server is None:  # all have been tried: begin again
                progress.tried.clear()
                server = self._servers.choose(model, progress.asking)
            try:
                if server is None:
                    self._discovery.look_now()
                    raise CannotConnect("any server", "its name has no address")
                return await self._ask(server, progress)
            except RequestError as error:
                progress.last, failures = error, failures + 1
                is_other_free = self._servers.is_other_free(
                    model, progress.tried | progress.asking.keys()
                )
                delay = wait(
                    error,
                    failures,
                    is_other_free=is_other_free,
                    remaining=progress.deadline - self._clock(),
                    draw=random.uniform,
                )
                if delay is None or not self._budget.take():
                    raise
            await asyncio.sleep(delay)

    async def _ask(self, server: Server, progress: Progress) -> list[Answer]:
        """Ask one server.

        Raises:
            RequestError: It does not answer.

        """
        since = self._clock()
        progress.tried.add(server.url)
        progress.asking[server.url] = server, since
        endpoint = server.endpoint
        try:
            answers = await self._transport(endpoint.scheme).send(
                endpoint, progress.call, max(0.001, progress.deadline - since)
            )
        except RequestError as error:
            del progress.asking[server.url]
            if isinstance(error, CannotConnect | ServerUnavailable):
                self._servers.note_failure(server, since)
                self._discovery.look_now()
            else:
                self._servers.note_answer(server)
            raise
        del progress.asking[server.url]
        self._servers.note_answer(server)
        return answers

    def _note_hung(self, progress: Progress) -> None:
        """Note that some servers have not answered before another one did or time ran out."""
        for server, since in progress.asking.values():
            self._servers.note_failure(server, since)
        progress.asking.clear()
