"""The client for programs without an event loop: an AsyncClient on a loop in a thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self, TypeVar

from tidemill.client.async_client import CONCURRENCY, AsyncClient
from tidemill.client.options import BatchOptions, RequestOptions, check
from tidemill.client.rows import in_order

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator
    from types import TracebackType
    from typing import Unpack

    from tidemill.client.answer import Answer
    from tidemill.client.options import ClientOptions

    T = TypeVar("T")


class Client:
    """Asks `tidemill serve`, over HTTP or gRPC. Any threads may use one client at once."""

    def __init__(self, servers: str | Iterable[str], **options: Unpack[ClientOptions]) -> None:
        """Take the servers and options of `AsyncClient`; nothing is connected yet.

        Raises:
            InvalidEndpoint: A URL is not that of a server.
            InvalidToken: No header can carry the token.
            TokenExposed: The token would travel unencrypted.
            TypeError, ValueError: There is no such option, or it has a wrong value.

        """
        self._client = AsyncClient(servers, **options)
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="tidemill-client", daemon=True
        )
        self._thread.start()

    def predict(
        self, model: str, inputs: Iterable[object], **options: Unpack[RequestOptions]
    ) -> list[Answer]:
        """Return an answer for each input, in the same order; see `AsyncClient.predict`."""
        future = self.submit(model, inputs, **options)
        try:
            return future.result()
        finally:
            future.cancel()  # an interrupt ends the request too

    def submit(
        self, model: str, inputs: Iterable[object], **options: Unpack[RequestOptions]
    ) -> Future[list[Answer]]:
        """Send a request, and return the future of its answers; see `AsyncClient.predict`."""
        check(options, RequestOptions)
        return self._start(self._client.predict(model, inputs, **options))

    def predict_iter(
        self, model: str, inputs: Iterable[object], **options: Unpack[BatchOptions]
    ) -> Iterator[Answer]:
        """Yield an answer for each input, in the same order; see `AsyncClient.predict_iter`.

        The inputs are read in the caller's thread.
        """
        check(options, BatchOptions)
        started: set[Future[list[Answer]]] = set()

        def start(request: Coroutine[None, None, list[Answer]]) -> Future[list[Answer]]:
            future = self._start(request)
            started.add(future)
            future.add_done_callback(started.discard)
            return future

        requests = self._client.requests(model, inputs, options)
        try:
            for future in in_order(requests, start, options.get("concurrency", CONCURRENCY)):
                yield from future.result()
        finally:
            for future in list(started):
                future.cancel()

    def close(self) -> None:
        """Close all connections; requests that run are cancelled."""
        if self._thread.is_alive():
            self._loop.result().call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self.close()

    def _start(self, call: Coroutine[None, None, T]) -> Future[T]:
        """Run a coroutine on the loop.

        Raises:
            RuntimeError: The client is closed.

        """
        if self._stop.is_set() or not self._thread.is_alive():
            call.close()
            raise RuntimeError("the client is closed")
        return asyncio.run_coroutine_threadsafe(call, self._loop.result())

    async def _run(self) -> None:
        """Run until the client is closed; `asyncio.run` then cancels the requests that run."""
        self._loop.set_result(asyncio.get_running_loop())
        try:
            await self._stop.wait()
        finally:
            await self._client.close()
