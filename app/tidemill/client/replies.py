"""Read what servers answer: outputs, and errors as problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tidemill.client.answer import Answer
from tidemill.errors import (
    InputFailed,
    ModelDown,
    RequestError,
    RequestRefused,
    RequestTimedOut,
    ServerFailed,
    ServerOverloaded,
    ServerUnavailable,
    UntrustedServer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "urn:tidemill:error:"
# How the object begins that stands in the place of an output; a model's own may begin so too.
ERROR = '{"error":'
BY_STATUS: dict[int, type[RequestError]] = {
    429: ServerOverloaded,
    502: ServerUnavailable,  # a proxy's
    503: ServerUnavailable,
    504: RequestTimedOut,
}
# What OpenSSL and gRPC call an answer that is not TLS.
NOT_TLS = "WRONG_VERSION_NUMBER"
# What the server says of itself with 503, rather than of a model.
OF_SERVER = {"LookupsUnavailable", "ServerBusy", "ServerStopping"}


class Problem(msgspec.Struct):
    """Problem details; what is not the server's own has no title of ours."""

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    hint: str = ""


class InPlace(msgspec.Struct):
    """An error in the place of an output."""

    error: Problem


class Source(NamedTuple):
    """The model, version and variant that an answer comes from."""

    model: str = ""
    version: str = ""
    variant: str | None = None


_PROBLEM = msgspec.json.Decoder(Problem)
_IN_PLACE = msgspec.json.Decoder(InPlace)


def answers(texts: Sequence[str], sources: Sequence[Source], count: int) -> list[Answer]:
    """Return an answer for each of the JSON texts that a server sent for so many inputs.

    Raises:
        ServerFailed: There are fewer or more.

    """
    if not len(texts) == len(sources) == count:
        raise unreadable(f"{len(texts)} outputs for {count} inputs")
    return [
        Answer(None if (error := _error_in(text)) else text, error, *source)
        for text, source in zip(texts, sources, strict=True)
    ]


def whole(
    content: bytes, status: int, reason: str = "", retry_after: float | None = None
) -> RequestError:
    """Return the error of a request: its problem details, or else what the status says."""
    try:
        problem = _PROBLEM.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = Problem()
    if not problem.type.startswith(OURS):
        title = HTTPStatus(status).phrase if status in set(HTTPStatus) else f"status {status}"
        hint = "The answer is not from `tidemill serve`: check the address, and proxies."
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            hint = "Send several requests, or raise the limit of the server, or of its proxy."
        problem = Problem("", title, status, reason or f"the answer is {status} {title}", hint)
    status = problem.status
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    kind = _kind(problem, RequestRefused if refused else ServerFailed)
    return kind(problem.title, status, problem.detail, problem.hint, retry_after)


def untrusted(url: str, reason: object) -> UntrustedServer:
    """Return the error of a server with which no encrypted connection is possible."""
    if NOT_TLS in str(reason):
        hint = "Use http:// or grpc://, or let the server use TLS."
        return UntrustedServer(url, "it may not use TLS, its answer is not encrypted", hint)
    return UntrustedServer(url, reason)


def unreadable(reason: object) -> ServerFailed:
    """Return the error of an answer that is not one."""
    return ServerFailed("UnreadableAnswer", 200, f"the server's answer cannot be read: {reason}")


def _error_in(text: str) -> RequestError | None:
    """Return the error in the place of an output, if there is one."""
    if not text.startswith(ERROR):
        return None
    try:
        problem = _IN_PLACE.decode(text).error
    except msgspec.MsgspecError:
        return None
    if not problem.type.startswith(OURS):
        return None
    kind = _kind(problem, InputFailed)
    return kind(problem.title, problem.status, problem.detail, problem.hint)


def _kind(problem: Problem, other: type[RequestError]) -> type[RequestError]:
    """Return the class of an error, which is another one if its status does not tell."""
    is_ours = problem.type.startswith(OURS)
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE and is_ours:
        return ServerUnavailable if problem.title in OF_SERVER else ModelDown
    return BY_STATUS.get(problem.status, other)
