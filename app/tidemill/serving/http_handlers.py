"""Handle HTTP requests: V2, the plain routes, and what operators need."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from tidemill.errors import InvalidRequest
from tidemill.serving import (
    http_body,
    mlflow_json,
    offload,
    openapi,
    plain,
    v2_json,
    v2_models,
    v2_served,
)
from tidemill.serving.http_responses import json_response

if TYPE_CHECKING:
    from starlette.requests import Request

    from tidemill.serving.catalogue import Catalogue, TableTarget, Target
    from tidemill.serving.parts import Parts


class Handlers:
    """Handle each kind of request; they raise TidemillError if they cannot."""

    def __init__(self, parts: Parts) -> None:
        """Take what the handlers share."""
        self._parts = parts
        self._service = parts.service

    async def plain(self, target: Target, request: Request) -> Response:
        """Answer a plain request under a model's own path."""
        body = await http_body.read(request, self._parts.settings)
        decoded = await offload.call(len(body) >= offload.LARGE_BYTES, plain.decode, body)
        with http_body.cancelled_if_client_leaves(request):
            answered = await plain.answer(
                self._service, target, decoded, http_body.seconds(request)
            )
        return Response(answered, media_type="application/json")

    async def invocations(self, target: Target, request: Request) -> Response:
        """Answer an MLflow request."""
        body = await http_body.read(request, self._parts.settings)
        read = partial(mlflow_json.decode, is_text=target.specs[0].is_text)
        decoded = await offload.call(len(body) >= offload.LARGE_BYTES, read, body)
        with http_body.cancelled_if_client_leaves(request):
            answered = await plain.answer(
                self._service,
                target,
                decoded,
                http_body.seconds(request),
                mlflow_json.PREDICTIONS,
            )
        return Response(answered, media_type="application/json")

    async def infer(self, target: Target | TableTarget, request: Request) -> Response:
        """Answer a V2 request."""
        body = await http_body.read(request, self._parts.settings)
        length = request.headers.get(v2_json.HEADER_LENGTH)
        is_large = len(body) >= offload.LARGE_BYTES
        decoded = await offload.call(is_large, v2_json.decode, body, length)
        with http_body.cancelled_if_client_leaves(request):
            answered = await v2_served.infer(
                self._parts, target, decoded, http_body.seconds(request)
            )
        content, head = await offload.call(answered.is_large, v2_json.encode, decoded, answered)
        if head is None:
            return Response(content, media_type="application/json")
        headers = {v2_json.HEADER_LENGTH: str(head)}
        return Response(content, headers=headers, media_type="application/octet-stream")

    async def model(
        self, catalogue: Catalogue, name: str, version: str | None, request: Request
    ) -> Response:
        """Describe a model."""
        seconds = http_body.seconds(request)
        return json_response(
            await v2_served.metadata(self._parts, catalogue, name, version, seconds)
        )

    async def model_ready(
        self, target: Target | TableTarget, name: str, request: Request
    ) -> Response:
        """Answer 200 if a model is ready."""
        seconds = http_body.seconds(request)
        if error := await v2_served.readiness_problem(self._parts, target, seconds):
            raise error
        return json_response({"name": name, "ready": True})

    async def index(self, catalogue: Catalogue, request: Request) -> Response:
        """List the models."""
        body = await http_body.read(request, self._parts.settings)
        only_ready = bool(body) and _object(body).get("ready") is True
        return json_response(v2_served.index(self._parts, catalogue, only_ready=only_ready))

    async def models(self, catalogue: Catalogue, _: Request) -> Response:
        """List the names of the models."""
        listed = v2_served.index(self._parts, catalogue, only_ready=False)
        names = (each["name"] for each in listed)
        return json_response({"models": [*dict.fromkeys(names)]})

    async def server(self, _: Catalogue, __: Request) -> Response:
        """Describe the server."""
        return json_response(v2_models.SERVER)

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

    async def openapi(self, catalogue: Catalogue, _: Request) -> Response:
        """Return the OpenAPI document."""
        return json_response(await openapi.document(self._parts, catalogue))


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(error) from None
