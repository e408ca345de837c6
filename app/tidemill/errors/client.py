"""Define the errors of the client: what a server answers instead of outputs, or that none does.

The message and the hint are those of the server, if it sent any.
"""

from __future__ import annotations

from typing import ClassVar

from tidemill.errors.base import ConfigurationError, MessageError, TidemillError


class RequestError(TidemillError):
    """A request to a server, or one of its inputs, has no output.

    Attributes:
        title: The name of the server's error, such as `InputTooLong`.
        status: The HTTP status, over gRPC too; 0 if no server answered.
        detail: What is wrong.
        retry_after: The fewest seconds until another try, if the server named them; if negative,
            there should be none.
        may_retry: Whether another try, or another server, may have an answer.

    """

    may_retry: ClassVar[bool] = False
    advice: ClassVar[str] = "The server's log has more."  # unless the server gives a hint

    def __init__(
        self,
        title: str,
        status: int,
        detail: str,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, hint or self.advice)
        self.title = title
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        names = ("title", "status", "detail", "retry_after")
        return *super().__reduce__(), {name: getattr(self, name) for name in names}


class InputFailed(RequestError, MessageError):
    """One input has no output: it is wrong, or the model failed on it."""

    advice = ""


class RequestRefused(RequestError):
    """The server refuses a request as it is: the model, the token or the form is wrong."""

    advice = "Correct the request."


class ServerOverloaded(RequestError):
    """Too many inputs wait for the model, or the token's rate is exceeded."""

    may_retry = True


class ModelDown(RequestError):
    """The model does not load, or fails on its own sample; that of another server may work."""

    may_retry = True


class ServerUnavailable(RequestError):
    """The server is busy or stops."""

    may_retry = True


class ServerFailed(RequestError):
    """The server failed by a fault of its own, or its answer cannot be read."""


class RequestTimedOut(RequestError):
    """The deadline of a request has passed."""

    advice = "Allow more time with `timeout`."


class CannotConnect(RequestError):
    """No connection to the server, or it broke before the answer."""

    may_retry = True

    def __init__(self, server: str, reason: object) -> None:
        super().__init__(
            "CannotConnect",
            0,
            f"no answer from {server}: {reason}",
            "Check that the server runs (`tidemill serve`), its address, and whether it uses TLS.",
        )


class UntrustedServer(RequestError):
    """The server has no certificate for its name that a trusted authority has signed."""

    def __init__(
        self,
        server: str,
        reason: object,
        hint: str = "Name the file of the authority that signed its certificate: `ca_file`.",
    ) -> None:
        super().__init__("UntrustedServer", 0, f"{server} is not trusted: {reason}", hint)


class InvalidEndpoint(ConfigurationError):
    """The client cannot use the address of a server."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(
            f"{url[:100]!r} is not the address of a server: {reason}",
            "Name it as http://HOST:PORT, https://…, grpc://… or grpcs://….",
        )


class InvalidToken(ConfigurationError):
    """A token has characters that no header can carry."""

    def __init__(self) -> None:
        super().__init__(
            "the token is empty, or has white space, control or other characters than ASCII",
            "Name only the token itself: `token`, or --token-file.",
        )


class TokenExposed(ConfigurationError):
    """A token would travel unencrypted to another machine."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"the token would travel to {url[:100]} unencrypted",
            "Use https:// or grpcs://, or allow it with `insecure_token=True`.",
        )
