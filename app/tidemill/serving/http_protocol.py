"""uvicorn's HTTP protocol, with a time limit for headers, which uvicorn lacks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio


class TimedProtocol(HttpToolsProtocol):
    """A protocol that closes a connection whose next headers take longer than `header_timeout`.

    The time runs from the connection's start, or from the first byte after an answer, which may be
    the next request's, or still the body of the last. Before that byte, uvicorn's own limit for
    idle connections applies.
    """

    header_timeout: ClassVar[float]  # seconds
    _header_timer: asyncio.TimerHandle | None = None
    _unsent = math.inf  # bytes of the last answer

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's
        """Start the time of the first headers."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Start the time of the next headers, because uvicorn ends its own limit here."""
        super().data_received(data)
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if not is_answering:
            self._start_timer()

    def on_headers_complete(self) -> None:
        """End the time of the headers."""
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all times."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start the time of an idle connection, also if it is to close once the answer is sent."""
        self._unsent = math.inf
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless its client still reads the last answer.

        uvicorn would wait for ever for a client that does not.
        """
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._watch()
        else:
            self.transport.abort()

    def _watch(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _start_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.header_timeout, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


def protocol(header_timeout: float) -> type[HttpToolsProtocol]:
    """Return a protocol with a time limit for headers, in seconds."""
    return type("Protocol", (TimedProtocol,), {"header_timeout": header_timeout})
