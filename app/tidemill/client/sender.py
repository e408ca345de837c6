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
    """How far a request has come."""

    call: Call
    deadline: float
    hedge_after: float | None
    tried: set[str] = field(default_factory=set)
    asking: dict[str, tuple[Server, float]] = field(default_factory=dict)  # since when


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
        progress = Progress(call, self._clock() + seconds, hedge_after)
        last: RequestError | None = None
        failures = 0
        try:
            async with asyncio.timeout(seconds):
                await self._discovery.ready()
                while True:
                    try:
                        answers = await self._try(progress)
                    except RequestError as error:
                        last, failures = error, failures + 1
                        await self._wait(progress, error, failures)
                    else:
                        self._budget.add_success()
                        return answers
        except TimeoutError:
            self._note_hung(progress)
            before = f"; the last try: {last.detail}" if last else ""
            text = f"no answer within {seconds:.3g} s{before}"
            raise RequestTimedOut("DeadlineExceeded", 504, text) from last

    async def _wait(self, progress: Progress, error: RequestError, failures: int) -> None:
        """Wait before the next try.

        Raises:
            RequestError: There should be none; the error is that of the last one.

        """
        is_other_free = self._servers.is_other_free(progress.call.model, progress.tried)
        delay = wait(
            error,
            failures,
            is_other_free=is_other_free,
            remaining=progress.deadline - self._clock(),
            draw=random.uniform,
        )
        if delay is None or not self._budget.take():
            raise error
        await asyncio.sleep(delay)

    async def _try(self, progress: Progress) -> list[Answer]:
        """Ask one server, or two if the first does not answer soon.

        Raises:
            RequestError: There is no answer.

        """
        model = progress.call.model
        server = self._servers.choose(model, progress.tried)
        if server is None:  # all have been tried: begin again
            progress.tried.clear()
            server = self._servers.choose(model)
        if server is None:
            self._discovery.look_now()
            raise CannotConnect("any server", "its name has no address")
        if progress.hedge_after is None:
            return await self._ask(server, progress)

        def another(error: BaseException | None) -> Coroutine[None, None, list[Answer]] | None:
            may_ask = error is None or (isinstance(error, RequestError) and error.may_retry)
            other = self._servers.choose(model, progress.tried) if may_ask else None
            if other is None or not self._budget.take():
                return None
            return self._ask(other, progress)

        answers = await first_answer(self._ask(server, progress), progress.hedge_after, another)
        self._note_hung(progress)
        return answers

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
