"""Define the errors of requests that are not a model's fault."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tidemill.errors.base import (
    ConfigurationError,
    MessageError,
    SeveralProblems,
    TidemillError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class InvalidRequest(MessageError):
    """A request does not have the form that its path or method needs."""

    def __init__(self, reason: object, remedy: str = "") -> None:
        super().__init__(f"the request is malformed: {reason}", remedy)


class ModelNotFound(MessageError):
    """A request names a model, a version or a path that the server does not have."""

    def __init__(self, kind: str, name: str, near: Iterable[str]) -> None:
        names = " or ".join(near)
        suggestion = f"Did you mean {names}? " if names else ""
        super().__init__(
            f"there is no {kind} {name[:100]!r}",
            f"{suggestion}POST /v2/repository/index lists all models.",
        )


class TableNotFound(MessageError):
    """A request names a table that the store does not have, or that the server does not serve."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no table {name[:100]!r}",
            "GET /v1/features lists the tables; `serving.tables` on the server names them.",
        )


class KeyNotFound(MessageError):
    """A table has no row for a key, or only one that is too old."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(
            f"the table {table!r} has no row for the key {key[:80]}",
            f"POST /v1/features/{table} looks several keys up, and answers null for such a key.",
        )


class LookupsUnavailable(TidemillError):
    """The database of the store does not answer, so nothing can be looked up."""

    retry_after = 1.0  # seconds

    def __init__(self) -> None:
        super().__init__(
            "the store does not answer, so nothing can be looked up",
            "Try again in a moment; the server's log has the reason.",
        )


class TasksUnavailable(TidemillError):
    """The database does not answer, so nothing is known of long tasks."""

    retry_after = 1.0  # seconds

    def __init__(self) -> None:
        super().__init__(
            "the store does not answer; whether a task was accepted is not known",
            "Try again in a moment, with the same Idempotency-Key: then no task is run twice.",
        )


class RequestTooLarge(MessageError):
    """A request is longer, or has more inputs, than the server takes."""

    def __init__(self, what: str, limit: int, setting: str) -> None:
        super().__init__(
            f"the request has more than {limit} {what}",
            f"Send several requests, or raise `serving.{setting}` on the server.",
        )


class OtherSite(MessageError):
    """A page of another web site has sent a request that changes something."""

    def __init__(self) -> None:
        super().__init__(
            "a page of another web site has sent the request",
            "Send it from the server's own page, or from a program, without `Origin`.",
        )


class UntrustedHost(MessageError):
    """A page has sent a request under a name that any web site could let lead to this machine."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the page of {host[:60]!r} may be another web site's, whose name leads here",
            "Open the page at http://localhost with the server's port, or through a proxy with "
            "HTTPS; or set `serving.tokens`.",
        )


class MethodNotAllowed(MessageError):
    """A path exists, but not for a request's method."""

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"the path has no method {method[:20]}", f"Use {allowed}.")
        self.allowed = allowed


class UnsupportedMediaType(MessageError):
    """A request's body is in a form that the server does not read."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"the server does not read {what}", remedy)


class BodyTimedOut(MessageError):
    """A client did not send the body of its request in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the request's body did not arrive within {seconds:g} s",
            "Send it faster, or raise `serving.body_timeout` on the server.",
        )


class QueueFull(TidemillError):
    """So many inputs wait for a model that the server takes no more."""

    def __init__(self, model: str, waiting: int, limit: int, retry_after: float) -> None:
        super().__init__(
            f"{waiting} inputs wait for {model}, and at most {limit} may",
            f"Try again in {max(1, math.ceil(retry_after))} s, or raise `serving.max_queue`.",
        )
        self.retry_after = retry_after


class Unauthenticated(MessageError):
    """A request has no token, or one that the server does not know."""

    def __init__(self) -> None:
        super().__init__(
            "the request needs a token that the server knows",
            "Send the header `Authorization: Bearer TOKEN`.",
        )


class RateExceeded(MessageError):
    """The bearer of a token has sent more requests than its rate allows."""

    def __init__(self, name: str, rate: str, retry_after: float) -> None:
        """Take who it is, a rate, such as `20 requests per minute`, and a time in seconds."""
        super().__init__(
            f"{name[:60]} may send at most {rate}",
            f"Try again in {max(1, math.ceil(retry_after))} s.",
        )
        self.retry_after = retry_after


class ServerBusy(TidemillError):
    """The server is already answering as many requests as it may."""

    retry_after = 1.0  # seconds

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the server is already answering {limit} requests",
            "Try again in a moment, or raise `serving.max_requests` on the server.",
        )


class ServerStopping(TidemillError):
    """The server stops, and the time for its running requests is over."""

    def __init__(self) -> None:
        super().__init__(
            "the server stopped before it had an answer",
            "Try again: another server may answer. `serving.drain_timeout` is the longest wait.",
        )


class ServerFault(TidemillError):
    """The server failed at a request by a fault of its own."""

    def __init__(self) -> None:
        super().__init__("the server failed at this request", "Its log has the reason.")


class DeadlineExceeded(TidemillError):
    """A request was not answered within the time that its client or the server allows."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"no answer within {seconds:.3g} s",
            "Allow more time, or raise `serving.timeout` on the server.",
        )


class NothingToServe(ConfigurationError):
    """The settings name neither models nor tables nor jobs."""

    def __init__(self, models: object) -> None:
        super().__init__(
            f"there is nothing to serve: no models in {models}, no tables and no jobs",
            "List models in that file, tables of the store in `serving.tables`, or jobs in "
            "`tasks.jobs`; one of them is enough. Name settings that are elsewhere with --config.",
        )


class InvalidTokens(SeveralProblems):
    """The file of tokens is wrong."""

    def __init__(self, path: object, *problems: object) -> None:
        super().__init__(
            str(path), problems, "Correct the file of tokens; docs/access.md explains its fields."
        )


class UnusableCertificate(ConfigurationError):
    """The server cannot use its certificate or the certificate's key."""

    def __init__(self, certificate: object, key: object, reason: object) -> None:
        super().__init__(
            f"cannot use the certificate {certificate} with the key {key}: {reason}",
            "Set `serving.tls_certificate` and `serving.tls_key` to PEM files of one pair.",
        )


class AddressTaken(ConfigurationError):
    """Another program listens on the server's port."""

    def __init__(self, host: str, port: int, setting: str) -> None:
        super().__init__(
            f"another program listens on {host}:{port}",
            f"End it, or set `serving.{setting}` to another port.",
        )


class AddressUnusable(ConfigurationError):
    """The server cannot listen on its address."""

    def __init__(self, host: str, port: int, reason: object) -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: {reason}",
            "Set `serving.host` to an address of this machine, and the port to 1024 or higher.",
        )
