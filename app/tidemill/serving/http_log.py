"""Count and log each HTTP request."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tidemill.serving import access_log

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tidemill.serving.parts import Parts

# As nginx does: the client closed the connection before the response.
CLIENT_LEFT = 499
# Asked every few seconds by machines.
QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


class Observed:
    """An ASGI application whose requests are counted and logged."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        """Take the application."""
        self._app = app
        self._metrics = parts.metrics
        self._logs = parts.settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, code = time.monotonic(), CLIENT_LEFT

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            if code != CLIENT_LEFT:
                raise
        finally:
            if (path := scope["path"]) not in QUIET:
                seconds = time.monotonic() - start
                self._metrics.request_ended("http", str(code), seconds)
                if self._logs:
                    client = scope.get("client") or ("", 0)
                    access_log.write(
                        "http", f"{scope['method']} {path}", str(code), seconds, client[0]
                    )
