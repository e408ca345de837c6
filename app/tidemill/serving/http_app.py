"""Serve models over HTTP: V2, the plain routes, and what operators need."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

import msgspec
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from tidemill.errors import InvalidRequest, TidemillError
from tidemill.serving import http_body, openapi, plain, v2, v2_json
from tidemill.serving.http_log import Observed
from tidemill.serving.models import READY
from tidemill.serving.status import problem, retry_after, retry_after_header, status

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from tidemill.serving.parts import Parts

    T = TypeVar("T")

PROBLEM = "application/problem+json"
# A request's header: how many seconds its client allows.
TIMEOUT = "tidemill-timeout"
# A body of so many bytes takes more than about a millisecond to read, so another thread does it.
LARGE = 256 * 1024


def application(parts: Parts) -> ASGIApp:
    """Return the ASGI application."""
    app = HttpApp(parts)
    routes = [
        Route("/v2/models/{name}/infer", app.infer, methods=["POST"]),
        Route("/v2/models/{name}/versions/{version}/infer", app.infer, methods=["POST"]),
        Route("/v2/models/{name}/ready", app.model_ready),
        Route("/v2/models/{name}/versions/{version}/ready", app.model_ready),
        Route("/v2/models/{name}", app.model),
        Route("/v2/models/{name}/versions/{version}", app.model),
        Route("/v2/repository/index", app.index, methods=["POST"]),
        Route("/v2/health/live", app.live),
        Route("/v2/health/ready", app.ready),
        Route("/v2", app.server),
        Route("/healthz", app.live),
        Route("/readyz", app.ready),
        Route("/metrics", app.metrics),
        Route("/openapi.json", app.openapi),
        Route("/docs", app.docs),
        Route("/{path:path}", app.plain, methods=["POST"]),
    ]
    handlers: Any = {TidemillError: _problem, HTTPException: _http_problem}
    return Observed(Starlette(routes=routes, exception_handlers=handlers), parts)


class HttpApp:
    """The handlers of all paths."""

    def __init__(self, parts: Parts) -> None:
        """Take what answers."""
        self._parts = parts
        self._service = parts.service
        self._catalogue = parts.service.catalogue

    async def plain(self, request: Request) -> Response:
        """Answer a plain request under a model's own path."""
        path = str(request.scope.get("raw_path", b"/"), "ascii")
        target = self._catalogue.find_path(
            "/".join(quote(unquote(part), safe="") for part in path.split("/"))
        )
        body = await http_body.read(request, self._parts.settings)
        decoded = await _decode(plain.decode, body)
        with http_body.cancelled_if_client_leaves(request):
            answered = await plain.answer(self._service, target, decoded, _seconds(request))
        return Response(answered, media_type="application/json")

    async def infer(self, request: Request) -> Response:
        """Answer a V2 request."""
        name, version = request.path_params["name"], request.path_params.get("version")
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
        name, version = request.path_params["name"], request.path_params.get("version")
        return _json(await v2.metadata(self._service, self._parts.models, name, version))

    async def model_ready(self, request: Request) -> Response:
        """Answer 200 if a model is ready."""
        name, version = request.path_params["name"], request.path_params.get("version")
        for spec in self._catalogue.find(name, version).specs:
            if error := await self._parts.models.problem(spec):
                raise error
        return _json({"name": name, "ready": True})

    async def index(self, request: Request) -> Response:
        """List the models."""
        body = await http_body.read(request, self._parts.settings)
        only_ready = bool(body) and _object(body).get("ready") is True
        models = v2.index(self._catalogue, self._parts.models)
        return _json([each for each in models if each["state"] == READY or not only_ready])

    async def server(self, _: Request) -> Response:
        """Describe the server."""
        return _json(v2.SERVER)

    async def live(self, _: Request) -> Response:
        """Answer 200."""
        return _json({"live": True})

    async def ready(self, _: Request) -> Response:
        """Answer 200 if the server takes requests."""
        reason = self._parts.readiness_problem()
        return _json({"ready": reason is None, "reason": reason}, 503 if reason else 200)

    async def metrics(self, _: Request) -> Response:
        """Return the metrics."""
        return Response(
            generate_latest(self._parts.metrics.registry), media_type=CONTENT_TYPE_LATEST
        )

    async def openapi(self, _: Request) -> Response:
        """Return the OpenAPI document."""
        return _json(await openapi.document(self._parts))

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


def _json(value: object, code: int = 200) -> Response:
    return Response(msgspec.json.encode(value), code, media_type="application/json")


def _problem(_: Request, error: TidemillError) -> Response:
    code = status(error).http
    headers = {}
    if (seconds := retry_after(error)) is not None:
        headers["retry-after"] = retry_after_header(seconds)
    if code in (408, 413):
        headers["connection"] = "close"  # the rest of the body is not read
    return Response(msgspec.json.encode(problem(error)), code, headers, PROBLEM)


def _http_problem(_: Request, error: HTTPException) -> Response:
    """Answer an unknown path, or a method that a path does not have."""
    details = {"title": error.detail, "status": error.status_code}
    return Response(
        msgspec.json.encode(details), error.status_code, dict(error.headers or {}), PROBLEM
    )
