"""Say what an error means in HTTP and in gRPC."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any, NamedTuple

from tidemill.errors import (
    BodyTimedOut,
    CannotRetry,
    DeadlineExceeded,
    FeaturesMissing,
    InputTooLong,
    InvalidIdempotencyKey,
    InvalidInput,
    InvalidJson,
    InvalidKey,
    InvalidParameters,
    InvalidRequest,
    InvalidSelection,
    InvalidTime,
    KeyNotFound,
    KeyReused,
    LookupsUnavailable,
    MethodNotAllowed,
    MissingField,
    ModelNotFound,
    ModelTimedOut,
    NoResult,
    NotEnded,
    OtherSite,
    ParametersTooLarge,
    QueueFull,
    RateExceeded,
    RequestTooLarge,
    ServerBusy,
    ServerFault,
    TableNotFound,
    TasksUnavailable,
    TidemillError,
    TooManyKeys,
    TooManyTasks,
    Unauthenticated,
    UnknownJob,
    UnknownRun,
    UnknownVariant,
    UnsupportedMediaType,
    UntrustedHost,
)

# In characters: gRPC allows 8 KiB of metadata, and an error may quote a model's.
MAX_DETAIL = 1000


class Status(NamedTuple):
    """An HTTP status, and the name of a gRPC status code."""

    http: HTTPStatus
    grpc: str


BAD_REQUEST = Status(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT")
UNPROCESSABLE = Status(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT")
CONFLICT = Status(HTTPStatus.CONFLICT, "FAILED_PRECONDITION")
FORBIDDEN = Status(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED")
NOT_FOUND = Status(HTTPStatus.NOT_FOUND, "NOT_FOUND")
TOO_LARGE = Status(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RESOURCE_EXHAUSTED")
# The model failed on this input, or is down.
FAILED = Status(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL")
UNAVAILABLE = Status(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE")
STATUSES: dict[type[TidemillError], Status] = {
    InvalidRequest: BAD_REQUEST,
    InvalidInput: BAD_REQUEST,
    InvalidJson: BAD_REQUEST,
    InputTooLong: BAD_REQUEST,
    FeaturesMissing: BAD_REQUEST,
    InvalidTime: BAD_REQUEST,
    MissingField: BAD_REQUEST,
    UnknownVariant: BAD_REQUEST,
    InvalidSelection: BAD_REQUEST,
    InvalidKey: UNPROCESSABLE,
    InvalidParameters: UNPROCESSABLE,
    InvalidIdempotencyKey: UNPROCESSABLE,
    KeyReused: UNPROCESSABLE,
    CannotRetry: CONFLICT,
    NotEnded: CONFLICT,
    ModelNotFound: NOT_FOUND,
    TableNotFound: NOT_FOUND,
    KeyNotFound: NOT_FOUND,
    UnknownJob: NOT_FOUND,
    UnknownRun: NOT_FOUND,
    NoResult: NOT_FOUND,
    RequestTooLarge: TOO_LARGE,
    TooManyKeys: TOO_LARGE,
    ParametersTooLarge: TOO_LARGE,
    OtherSite: FORBIDDEN,
    UntrustedHost: FORBIDDEN,
    MethodNotAllowed: Status(HTTPStatus.METHOD_NOT_ALLOWED, "UNIMPLEMENTED"),
    ServerFault: FAILED,
    UnsupportedMediaType: Status(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "INVALID_ARGUMENT"),
    BodyTimedOut: Status(HTTPStatus.REQUEST_TIMEOUT, "DEADLINE_EXCEEDED"),
    Unauthenticated: Status(HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED"),
    RateExceeded: Status(HTTPStatus.TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
    QueueFull: Status(HTTPStatus.TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
    TooManyTasks: Status(HTTPStatus.TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
    ModelTimedOut: Status(HTTPStatus.GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
    DeadlineExceeded: Status(HTTPStatus.GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
}

# Errors that know when to try again.
LATER = (LookupsUnavailable, QueueFull, RateExceeded, ServerBusy, TasksUnavailable, TooManyTasks)


def status(error: TidemillError) -> Status:
    """Return what an error means to a client."""
    return STATUSES.get(type(error), FAILED if error.kind == "message" else UNAVAILABLE)


def problem(error: TidemillError) -> dict[str, Any]:
    """Return an error as problem details (RFC 9457), with the member `hint`."""
    name, code = type(error).__name__, status(error).http
    details = {
        "type": f"urn:tidemill:error:{name}",
        "title": name,
        "status": code.value,
        "detail": str(error)[:MAX_DETAIL],
    }
    return details | ({"hint": error.hint} if error.hint else {})


def retry_after(error: TidemillError) -> float | None:
    """Return after how many seconds a client should try again; None if it should not."""
    return error.retry_after if isinstance(error, LATER) else None


def retry_after_header(seconds: float) -> str:
    """Return a value of Retry-After: whole seconds, at least one (RFC 9110, section 10.2.3)."""
    return str(max(1, math.ceil(seconds)))
