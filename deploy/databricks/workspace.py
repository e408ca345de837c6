"""The API of a workspace, with retries."""

from __future__ import annotations

import logging
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import SplitResult, urlsplit

import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import RealClock
from databricks.sdk.core import Config, DatabricksError
from databricks.sdk.errors import (
    DeadlineExceeded,
    InternalError,
    TemporarilyUnavailable,
    TooManyRequests,
)

from deploy.databricks.errors import NoLogin, RequestFailed, VariableWrong

if TYPE_CHECKING:
    from databricks.sdk.mixins.jobs import JobsExt

Answer = TypeVar("Answer")
Sleep: TypeAlias = Callable[[float], None]

TOKEN = "DATABRICKS_API_TOKEN"  # noqa: S105 - the variable's name
HOST = "DATABRICKS_HOST"
HTTP_TIMEOUT_S = 60
TRANSIENT = (
    TooManyRequests,
    InternalError,
    TemporarilyUnavailable,
    DeadlineExceeded,
    requests.ConnectionError,
    requests.Timeout,
)
MAX_PAUSE_S = 30.0
MAX_MESSAGE = 500
# The SDK appends its own configuration, or how to report an unreadable response.
ADDITIONS = (". Config: ", " This is likely a bug in the Databricks SDK")


class OneAttempt(RealClock):
    """Prevents retries by the SDK: only this module knows which requests are safe to repeat."""

    def sleep(self, seconds: float) -> None:  # noqa: ARG002 - the SDK's signature
        """Raise the error instead of pausing before another attempt."""
        if error := sys.exception():
            raise error


def jobs_of(host: str, token: str) -> JobsExt:
    """Return the Jobs API of a workspace.

    Raises:
        VariableWrong: The host or the token is invalid, or the token would be sent unencrypted.

    """
    if "://" not in host:
        host = f"https://{host}"
    parts = _secure(host)
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise VariableWrong(TOKEN, "a token; it has characters that no token has")
    host = f"{parts.scheme}://{parts.netloc}"
    return WorkspaceClient(config=_config(host=host, token=token, auth_type="pat")).jobs


def client() -> WorkspaceClient:
    """Return a client with the SDK's own login: its variables, or its configuration file.

    Raises:
        NoLogin: There is none, or it fails.
        VariableWrong: The login would be sent unencrypted.

    """
    try:
        config = _config()
    except (ValueError, DatabricksError, requests.RequestException) as error:
        raise NoLogin(_reason(error)) from error
    _secure(config.host or "")
    return WorkspaceClient(config=config)


def _config(**login: Any) -> Config:  # noqa: ANN401 - arguments of the SDK
    # At its start the client asks the host for its kind, and logs a failure that does not matter.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    return Config(
        http_timeout_seconds=HTTP_TIMEOUT_S, retry_timeout_seconds=1, clock=OneAttempt(), **login
    )


def _secure(host: str) -> SplitResult:
    """Return the parts of a URL to which a login may be sent."""
    parts = urlsplit(host)
    loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    secure = parts.scheme == "https" or (loopback and parts.scheme == "http")
    if not parts.hostname or not secure or "@" in parts.netloc:
        raise VariableWrong(HOST, "the workspace's URL, such as https://name.cloud.databricks.com")
    return parts


@dataclass(frozen=True, slots=True)
class Patience:
    """Repeats requests while the API is busy (429) or has failed (5xx).

    Attributes:
        tell: Prints a line for the user.
        limit: Seconds after which a failure is final.
        sleep: Waits the given seconds.

    """

    tell: Callable[[str], None]
    limit: float = 300.0
    sleep: Sleep = time.sleep

    def ask(self, problem: str, request: Callable[[], Answer]) -> Answer:
        """Make a request, and repeat it if necessary: it must be safe to repeat.

        Raises:
            RequestFailed: The API refused it, or it failed until the time was up.

        """
        waited, pause = 0.0, 1.0
        while True:
            try:
                return request()
            except (DatabricksError, requests.RequestException) as error:
                reason = _reason(error)
                if not _is_transient(error) or waited >= self.limit:
                    raise RequestFailed(problem, reason) from error
                retry_after = getattr(error, "retry_after_secs", None)
            # Follow the server's Retry-After, or back off exponentially, with jitter.
            seconds = max(float(retry_after or 0), pause * random.uniform(0.5, 1))  # noqa: S311
            seconds = min(seconds, max(self.limit - waited, 0.1))
            self.tell(f"{problem}: {reason}; trying again in {seconds:.1f} s")
            self.sleep(seconds)
            waited, pause = waited + seconds, min(2 * pause, MAX_PAUSE_S)


def _is_transient(error: Exception) -> bool:
    if isinstance(error, requests.exceptions.SSLError):
        return False
    # The SDK has no class of its own for some statuses, such as 502.
    return isinstance(error, TRANSIENT) or type(error) is DatabricksError


def _reason(error: Exception) -> str:
    """Return the API's message as one line."""
    message = str(error)
    if isinstance(error, requests.ConnectionError):  # the reason is at the end
        message = message.rpartition(": ")[2].rstrip("'\")")
    for addition in ADDITIONS:
        message = message.partition(addition)[0]
    code = getattr(error, "error_code", None)
    line = " ".join(f"{code or type(error).__name__}: {message}".split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]} …"
