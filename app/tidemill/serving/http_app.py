"""Answer HTTP requests: find what handles each, turn errors into responses, count and log."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

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
from tidemill.serving import http_page, http_tables, http_tasks
from tidemill.serving.catalogue import Target, quoted
from tidemill.serving.http_body import ClientLeft
from tidemill.serving.http_handlers import Handlers
from tidemill.serving.http_responses import problem_response
from tidemill.serving.http_tables import TableHandlers
from tidemill.serving.http_tasks import TaskHandlers
from tidemill.serving.parts import MAX_REQUEST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from tidemill.serving.catalogue import Catalogue
    from tidemill.serving.parts import Parts

    Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
    Operation: TypeAlias = tuple[str, Handler]  # with its method

log = structlog.get_logger(__name__)

# Name, version and operation.
MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(infer|ready))?")
# A status as nginx logs it: the client closed the connection before the response.
CLIENT_LEFT = 499


class HttpApp:
    """An ASGI application, whose requests are counted and logged.

    Probes and metrics, which machines ask for every few seconds, are neither, and need no token;
    nor do the files of the page for people.
    """

    def __init__(self, parts: Parts) -> None:
        """Take what answers."""
        self._parts = parts
        self._tables = TableHandlers(parts, parts.tables) if parts.tables else None
        self._tasks = TaskHandlers(parts, parts.tasks) if parts.tasks else None
        handle = self._handlers = Handlers(parts)
        self._open: dict[str, Operation] = {
            "/healthz": ("GET", handle.live),
            "/ping": ("GET", handle.live),  # as MLflow's server
            "/readyz": ("GET", handle.ready),
            "/metrics": ("GET", handle.metrics),
            "/v2/health/live": ("GET", handle.live),
            "/v2/health/ready": ("GET", handle.ready),
            **dict.fromkeys(http_page.FILES, ("GET", http_page.answer)),
        }
        # Their handlers take the models that the client may use.
        self._listed: dict[str, tuple[str, Callable[..., Awaitable[Response]]]] = {
            "/v2": ("GET", handle.server),
            "/v2/": ("GET", handle.server),  # as the protocol's OpenAPI document writes it
            "/v2/models": ("GET", handle.models),  # as KServe's server
            "/v2/repository/index": ("POST", handle.index),
            "/openapi.json": ("GET", handle.openapi),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        start, path = time.monotonic(), scope["path"]
        request = Request(scope, receive)
        if path in self._open:
            response = await self._answer(request)
            await response(scope, receive, send)
            return
        line = f"{scope['method']} {http_tables.logged(path)}"[:MAX_REQUEST]
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
        is_v2 = f"{request.scope['path']}/".startswith("/v2/")
        try:
            if operation := self._open.get(request.scope["path"]):
                return await self._handler(request, operation)(request)
            handler = self._handler(request, self._find(request))
            with self._parts.one_more() if request.method == "POST" else nullcontext():
                return await handler(request)
        except TidemillError as error:
            return problem_response(error, is_v2=is_v2)
        except ClientLeft:
            return Response(status_code=CLIENT_LEFT)
        except asyncio.CancelledError:  # the time to drain is over
            return problem_response(ServerStopping(), is_v2=is_v2)
        except Exception as error:
            path = http_tables.logged(request.scope["path"])[:MAX_REQUEST]
            log.exception("a request failed", path=path, error=describe(error))
            return problem_response(ServerFault(), is_v2=is_v2)

    @staticmethod
    def _handler(request: Request, operation: Operation) -> Handler:
        """Return an operation's handler, unless it needs another method."""
        method, handler = operation
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            raise MethodNotAllowed(request.method, method)
        return handler

    def _find(self, request: Request) -> Operation:
        """Return what a request asks for.

        Raises:
            ModelNotFound: There is nothing under its path.
            Unauthenticated, RateExceeded: Its client may not ask, or not now.

        """
        models = self._parts.access.models(request.headers.get("authorization"))
        path = request.scope["path"]
        if listed := self._listed.get(path):
            method, handler = listed
            return method, partial(handler, models)
        if found := MODEL.fullmatch(path):
            return self._of_model(models, *found.groups())
        raw = str(request.scope.get("raw_path", b"/"), "ascii")
        if self._tables and raw.startswith(http_tables.PATH):
            return self._tables.find(models, raw)
        if self._tasks and raw.startswith(http_tasks.PATH):
            return self._tasks.find(models, raw, request)
        if route := models.mlflow_paths.get(quoted(raw)):
            return "POST", partial(self._handlers.invocations, Target(route))
        return "POST", partial(self._handlers.plain, models.find_path(raw))

    def _of_model(
        self, models: Catalogue, name: str, version: str | None, operation: str | None
    ) -> Operation:
        """Return what V2 offers for a model."""
        target = models.find_served(name, version)
        match operation:
            case "infer":
                return "POST", partial(self._handlers.infer, target)
            case "ready":
                return "GET", partial(self._handlers.model_ready, target, name)
            case _:
                return "GET", partial(self._handlers.model, models, name, version)
