"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tidemill.client import endpoints
from tidemill.client.answer import Answer
from tidemill.client.call import Call, encode
from tidemill.client.discovery import Discovery
from tidemill.client.options import BatchOptions, ClientOptions, RequestOptions, check
from tidemill.client.retries import Budget
from tidemill.client.rows import Pace, batches, in_order, rows
from tidemill.client.sender import Sender
from tidemill.client.servers import Servers
from tidemill.client.transports import Transports
from tidemill.errors import RequestError, SettingsFileUnreadable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Unpack

    from tidemill.client.endpoints import Endpoint
TIMEOUT_S, CONNECT_TIMEOUT_S, REFRESH_S = 30.0, 3.0, 5.0
BATCH_SIZE, CONCURRENCY = 32, 4
# The statuses because of which no request for a model can succeed.
UNAUTHENTICATED, NOT_FOUND = 401, 404


class AsyncClient:
    """Asks `tidemill serve`, over HTTP or gRPC; `tidemill.client.Client` does without `await`."""

    def __init__(self, servers: str | Iterable[str], **options: Unpack[ClientOptions]) -> None:
        """Take the URLs of one or several servers; nothing is connected yet.

        A URL is `http://HOST:PORT`, `https://…`, `grpc://…` or `grpcs://…`. With `dns+` in front,
        such as `dns+grpc://models:8081`, each address of the name is a server.

        Raises:
            InvalidEndpoint: A URL is not that of a server.
            InvalidToken: No header can carry the token.
            TokenExposed: The token would travel unencrypted.
            MissingExtra: The extra `client` is not installed.
            SettingsFileUnreadable: `ca_file` is not a file of certificates.
            TypeError, ValueError: There is no such option, or it has a wrong value.

        """
        check(options, ClientOptions)
        parsed = endpoints.parse(servers)
        token = options.get("token")
        if token is not None and not options.get("insecure_token"):
            endpoints.check_token(parsed)
        self._timeout = options.get("timeout", TIMEOUT_S)
        self._hedge_after = options.get("hedge_after")
        self._transports = Transports(
            {each.scheme for each in parsed},
            token=token,
            authorities=_authorities(options.get("ca_file")),
            connect_timeout=options.get("connect_timeout", CONNECT_TIMEOUT_S),
        )
        clock = time.monotonic
        self._servers = Servers((each for each in parsed if not each.is_group), clock)
        refresh = options.get("refresh", REFRESH_S)
        self._discovery = Discovery(parsed, self._replace, every=refresh)
        self._sender = Sender(
            self._servers, self._transports.of, Budget(clock), clock, self._discovery
        )

    async def predict(
        self, model: str, inputs: Iterable[object], **options: Unpack[RequestOptions]
    ) -> list[Answer]:
        """Return an answer for each input, in the same order; some answers may be errors.

        `model` is a model's name, or a path such as `/probability/2/TAXI`. Inputs are texts, if the
        model takes text, and otherwise JSON values.

        Raises:
            RequestRefused: The server refuses the request: model, token or form are wrong.
            ServerOverloaded, ServerUnavailable, ModelDown, CannotConnect: All tries failed.
            ServerFailed, UntrustedServer: Another try would not help.
            RequestTimedOut: The deadline has passed.
            TypeError, ValueError: An input has no JSON form, or an option is wrong.

        """
        check(options, RequestOptions)
        return await self._send(model, inputs, options)

    async def predict_iter(
        self, model: str, inputs: Iterable[object], **options: Unpack[BatchOptions]
    ) -> AsyncIterator[Answer]:
        """Yield an answer for each input, in the same order, from as many requests as it takes.

        Inputs are any iterable, which is read as the answers are, or a DataFrame, whose rows become
        objects. If a request fails, each of its inputs gets the error.

        Raises:
            RequestRefused: No request can succeed: there is no such model, or the token is wrong.
            TypeError, ValueError: An input has no JSON form, or an option is wrong.

        """
        check(options, BatchOptions)
        started: set[asyncio.Task[list[Answer]]] = set()

        def start(request: Coroutine[None, None, list[Answer]]) -> asyncio.Task[list[Answer]]:
            task = asyncio.ensure_future(request)
            started.add(task)
            task.add_done_callback(started.discard)
            return task

        requests = self.requests(model, inputs, options)
        try:
            for task in in_order(requests, start, options.get("concurrency", CONCURRENCY)):
                for answer in await task:
                    yield answer
        finally:
            for task in started:
                task.cancel()

    def requests(
        self, model: str, inputs: Iterable[object], options: BatchOptions
    ) -> Iterator[Coroutine[None, None, list[Answer]]]:
        """Yield the requests of `predict_iter`, each as a coroutine, which may run at once."""
        pace = Pace(options.get("delay", 0.0), time.monotonic)
        for batch in batches(rows(inputs), options.get("batch_size", BATCH_SIZE)):
            yield self._send_or_blame(model, batch, options, pace.wait())

    async def close(self) -> None:
        """Close all connections."""
        await self._discovery.close()
        await self._transports.close()

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.close()

    async def _send(
        self, model: str, inputs: Iterable[object], options: RequestOptions
    ) -> list[Answer]:
        choice = options.get("version"), options.get("key"), options.get("variant")
        if not isinstance(model, str):
            raise TypeError(f"`model` must be a model's name, not {type(model).__name__}")
        call = Call(model, encode(inputs), *choice)
        if not call.inputs:
            return []
        return await self._sender.send(
            call,
            options.get("timeout", self._timeout),
            options.get("hedge_after", self._hedge_after),
        )

    async def _send_or_blame(
        self, model: str, inputs: Sequence[object], options: RequestOptions, wait: float
    ) -> list[Answer]:
        """Return the answers of a request, after some seconds; if it fails, an error for each."""
        await asyncio.sleep(wait)
        try:
            return await self._send(model, inputs, options)
        except RequestError as error:
            if error.status in {UNAUTHENTICATED, NOT_FOUND}:
                raise
            return [Answer(None, error)] * len(inputs)

    def _replace(self, found: Sequence[Endpoint]) -> None:
        """Take other servers, and close the connections to those that are gone."""
        for server in self._servers.replace(found):
            self._transports.of(server.endpoint.scheme).forget(server.endpoint)


def _authorities(path: str | Path | None) -> str | None:
    """Return the certificates in a file.

    Raises:
        SettingsFileUnreadable: There are none.

    """
    if path is None:
        return None
    try:
        text = Path(path).read_text()
        ssl.create_default_context(cadata=text or "none")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = getattr(error, "strerror", None) or error
        hint = "Name a PEM file with certificates: `ca_file`."
        raise SettingsFileUnreadable(path, reason, hint) from None
    return text
