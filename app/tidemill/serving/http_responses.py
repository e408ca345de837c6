"""Make HTTP responses."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from tidemill.errors import MethodNotAllowed
from tidemill.serving.status import problem, retry_after, retry_after_header, status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.errors import TidemillError

PROBLEM = "application/problem+json"


def json_response(
    value: object, code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), code, headers, "application/json")


def problem_response(error: TidemillError, *, is_v2: bool = False) -> Response:
    """Return an error as problem details, with the headers that its status asks for.

    V2 wants JSON with the member `error`, and its clients show nothing else.
    """
    code, details = status(error).http, problem(error)
    if is_v2:
        details["error"] = details["detail"]
    headers = {"cache-control": "no-store"}  # what is missing now may be there soon
    if (seconds := retry_after(error)) is not None:
        headers["retry-after"] = retry_after_header(seconds)
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = "GET, HEAD" if error.allowed == "GET" else error.allowed
    if code == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if code in (408, 413):
        headers["connection"] = "close"  # the rest of the body is not read
    media_type = "application/json" if is_v2 else PROBLEM
    return Response(msgspec.json.encode(details), code, headers, media_type)
