"""Answer HTTP requests: find what handles each, turn errors into responses, count and log."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, unquote

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tidemill.errors import (
    MethodNotAllowed,
    ServerFault,
    ServerStopping,
    TidemillError,
    describe,
)
from tidemill.serving.catalogue import Target
from tidemill.serving.http_handlers import Handlers
from tidemill.serving.http_responses import problem_response
from tidemill.serving.parts import MAX_REQUEST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from tidemill.serving.parts import Parts

    Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
    Operation: TypeAlias = tuple[str, Handler]  # with its method

log = structlog.get_logger(__name__)

MODEL = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<operation>infer|ready))?"
)
# A status as nginx logs it: the client closed the connection before the response.
CLIENT_LEFT = 499
# Asked every few seconds by machines.
QUIET = frozenset(
    {"/healthz", "/ping", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"}
)


class HttpApp:
    """An ASGI application, whose requests are counted and logged."""

    def __init__(self, parts: Parts) -> None:
        """Take what answers."""
        self._parts = parts
        self._service = parts.service
        self._catalogue = parts.service.catalogue
        handle = self._handlers = Handlers(parts)
        self._paths: dict[str, Operation] = {
            "/v2": ("GET", handle.server),
            "/v2/health/live": ("GET", handle.live),
            "/v2/health/ready": ("GET", handle.ready),
            "/v2/repository/index": ("POST", handle.index),
            "/healthz": ("GET", handle.live),
            "/ping": ("GET", handle.live),  # as MLflow's server
            "/readyz": ("GET", handle.ready),
            "/metrics": ("GET", handle.metrics),
            "/openapi.json": ("GET", handle.openapi),
            "/docs": ("GET", handle.docs),
        }
        self._of_model: dict[str | None, Operation] = {
            "infer": ("POST", handle.infer),
            "ready": ("GET", handle.model_ready),
            None: ("GET", handle.model),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        start, path = time.monotonic(), scope["path"]
        request = Request(scope, receive)
        if path in QUIET:
            response = await self._answer(request)
            await response(scope, receive, send)
            return
        line = f"{scope['method']} {path}"[:MAX_REQUEST]
        with self._parts.tracing.span(line, request.headers) as span:
            response = await self._answer(request)
            if span is not None:
                span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code != CLIENT_LEFT:
            await response(scope, receive, send)
        client = (scope.get("client") or ("",))[0]
        seconds = time.monotonic() - start
        self._parts.note("http", line, str(response.status_code), seconds, client)

    async def _answer(self, request: Request) -> Response:
        """Return the response to a request, whatever fails."""
        is_quiet = request.scope["path"] in QUIET
        try:
            with nullcontext() if is_quiet else self._parts.one_more():
                return await self._find(request)(request)
        except TidemillError as error:
            return problem_response(error)
        except asyncio.CancelledError:
            if self._service.is_draining:
                return problem_response(ServerStopping())
            return Response(status_code=CLIENT_LEFT)
        except Exception as error:
            path = request.scope["path"][:MAX_REQUEST]
            log.exception("a request failed", path=path, error=describe(error))
            return problem_response(ServerFault())

    def _find(self, request: Request) -> Handler:
        """Return the handler of a request.

        Raises:
            ModelNotFound: There is nothing under the path.
            MethodNotAllowed: The path needs another method.

        """
        path: str = request.scope["path"]
        if found := MODEL.fullmatch(path):
            request.scope["path_params"] = found.groupdict()
            method, handler = self._of_model[found["operation"]]
        elif operation := self._paths.get(path):
            method, handler = operation
        else:
            raw = str(request.scope.get("raw_path", b"/"), "ascii")
            quoted = "/".join(quote(unquote(part), safe="") for part in raw.split("/"))
            if route := self._catalogue.mlflow_paths.get(quoted):
                handler = partial(self._handlers.invocations, Target(route))
            else:
                handler = partial(self._handlers.plain, self._catalogue.find_path(quoted))
            method = "POST"
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            raise MethodNotAllowed(request.method, method)
        return handler
