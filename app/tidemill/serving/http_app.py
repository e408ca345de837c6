"""Serve models over HTTP: V2, the plain routes, and what operators need."""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote

import msgspec
import structlog
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from tidemill.errors import InvalidRequest, MethodNotAllowed, ServerFault, TidemillError, describe
from tidemill.serving import http_body, openapi, plain, v2, v2_json
from tidemill.serving.http_responses import json_response, problem_response
from tidemill.serving.models import READY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from tidemill.serving.catalogue import Target
    from tidemill.serving.parts import Parts

    T = TypeVar("T")
    Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
    Operation: TypeAlias = tuple[str, Handler]  # with its method

log = structlog.get_logger(__name__)

MODEL = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<operation>infer|ready))?"
)
# A status as nginx logs it: the client closed the connection before the response.
CLIENT_LEFT = 499
# Asked every few seconds by machines.
QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
# A request's header: how many seconds its client allows.
TIMEOUT = "tidemill-timeout"
# A body of so many bytes takes more than about a millisecond to read, so another thread does it.
LARGE = 256 * 1024


class HttpApp:
    """An ASGI application, whose requests are counted and logged."""

    def __init__(self, parts: Parts) -> None:
        """Take what answers."""
        self._parts = parts
        self._service = parts.service
        self._catalogue = parts.service.catalogue
        self._paths: dict[str, Operation] = {
            "/v2": ("GET", self.server),
            "/v2/health/live": ("GET", self.live),
            "/v2/health/ready": ("GET", self.ready),
            "/v2/repository/index": ("POST", self.index),
            "/healthz": ("GET", self.live),
            "/readyz": ("GET", self.ready),
            "/metrics": ("GET", self.metrics),
            "/openapi.json": ("GET", self.openapi),
            "/docs": ("GET", self.docs),
        }
        self._of_model: dict[str | None, Operation] = {
            "infer": ("POST", self.infer),
            "ready": ("GET", self.model_ready),
            None: ("GET", self.model),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        start, path = time.monotonic(), scope["path"]
        request = Request(scope, receive)
        line = f"{scope['method']} {path}"
        with self._parts.tracing.span(line, request.headers) as span:
            response = await self._answer(request)
            if span is not None:
                span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code != CLIENT_LEFT:
            await response(scope, receive, send)
        if path not in QUIET:
            client = (scope.get("client") or ("",))[0]
            seconds = time.monotonic() - start
            self._parts.note("http", line, str(response.status_code), seconds, client)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._find(request)(request)
        except TidemillError as error:
            return problem_response(error)
        except asyncio.CancelledError:  # the client has left
            return Response(status_code=CLIENT_LEFT)
        except Exception as error:
            log.exception("a request failed", path=request.scope["path"], error=describe(error))
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
            target = self._catalogue.find_path(
                "/".join(quote(unquote(part), safe="") for part in raw.split("/"))
            )
            method, handler = "POST", partial(self.plain, target)
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            raise MethodNotAllowed(request.method, method)
        return handler

    async def plain(self, target: Target, request: Request) -> Response:
        """Answer a plain request under a model's own path."""
        body = await http_body.read(request, self._parts.settings)
        decoded = await _decode(plain.decode, body)
        with http_body.cancelled_if_client_leaves(request):
            answered = await plain.answer(self._service, target, decoded, _seconds(request))
        return Response(answered, media_type="application/json")

    async def infer(self, request: Request) -> Response:
        """Answer a V2 request."""
        name, version = request.path_params["name"], request.path_params["version"]
        body = await http_body.read(request, self._parts.settings)
        length = request.headers.get(v2_json.HEADER_LENGTH)
        decoded = await _decode(lambda content: v2_json.decode(content, length), body)
        with http_body.cancelled_if_client_leaves(request):
            answered = await v2.infer(
                self._service,
                self._parts.models,
                name,
                version,
                decoded,
                seconds=_seconds(request),
            )
        content, head = v2_json.encode(decoded, answered)
        if head is None:
            return Response(content, media_type="application/json")
        headers = {v2_json.HEADER_LENGTH: str(head)}
        return Response(content, headers=headers, media_type="application/octet-stream")

    async def model(self, request: Request) -> Response:
        """Describe a model."""
        name, version = request.path_params["name"], request.path_params["version"]
        return json_response(await v2.metadata(self._service, self._parts.models, name, version))

    async def model_ready(self, request: Request) -> Response:
        """Answer 200 if a model is ready."""
        name, version = request.path_params["name"], request.path_params["version"]
        for spec in self._catalogue.find(name, version).specs:
            if error := await self._parts.models.problem(spec):
                raise error
        return json_response({"name": name, "ready": True})

    async def index(self, request: Request) -> Response:
        """List the models."""
        body = await http_body.read(request, self._parts.settings)
        only_ready = bool(body) and _object(body).get("ready") is True
        models = v2.index(self._catalogue, self._parts.models)
        return json_response([each for each in models if each["state"] == READY or not only_ready])

    async def server(self, _: Request) -> Response:
        """Describe the server."""
        return json_response(v2.SERVER)

    async def live(self, _: Request) -> Response:
        """Answer 200."""
        return json_response({"live": True})

    async def ready(self, _: Request) -> Response:
        """Answer 200 if the server takes requests."""
        reason = self._parts.readiness_problem()
        return json_response({"ready": reason is None, "reason": reason}, 503 if reason else 200)

    async def metrics(self, _: Request) -> Response:
        """Return the metrics."""
        return Response(
            generate_latest(self._parts.metrics.registry), media_type=CONTENT_TYPE_LATEST
        )

    async def openapi(self, _: Request) -> Response:
        """Return the OpenAPI document."""
        return json_response(await openapi.document(self._parts))

    async def docs(self, _: Request) -> Response:
        """Return the OpenAPI document as a page."""
        return Response(openapi.page(await openapi.document(self._parts)), media_type="text/html")


async def _decode(decode: Callable[[bytes], T], body: bytes) -> T:
    """Decode a body; a large one must not hold up the event loop."""
    return decode(body) if len(body) < LARGE else await asyncio.to_thread(decode, body)


def _seconds(request: Request) -> float | None:
    """Return the time that a request's client allows.

    Raises:
        InvalidRequest: The header is no number of seconds.

    """
    value = request.headers.get(TIMEOUT)
    try:
        seconds = None if value is None else float(value)
    except ValueError:
        seconds = 0.0
    if seconds is not None and not seconds > 0:
        raise InvalidRequest(f"the header {TIMEOUT} must be a number of seconds, such as 2.5")
    return seconds


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(error) from None
