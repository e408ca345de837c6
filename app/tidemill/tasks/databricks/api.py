"""Reach the API of a workspace: the SDK's login, and requests that are repeated with a back-off."""

from __future__ import annotations

import logging
import random
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import requests
from databricks.sdk.clock import RealClock
from databricks.sdk.core import Config, DatabricksError
from databricks.sdk.errors import (
    DeadlineExceeded,
    InternalError,
    TemporarilyUnavailable,
    TooManyRequests,
)

from tidemill.errors import DatabricksRequestFailed

Answer = TypeVar("Answer")
Sleep: TypeAlias = Callable[[float], None]

HTTP_TIMEOUT_S = 60
TRANSIENT = (
    TooManyRequests,
    InternalError,
    TemporarilyUnavailable,
    DeadlineExceeded,
    requests.ConnectionError,
    requests.Timeout,
)
# What the SDK raises: its own errors, those of its HTTP client, and ValueError for logins.
FAILURES = (DatabricksError, requests.RequestException, ValueError)
# What a server of tokens says of a wrong login (RFC 6749); all else may pass.
REFUSED = re.compile(r"access_denied|invalid_|unauthorized_client|unsupported_")
MAX_PAUSE_S = 30.0
MAX_MESSAGE = 500
# The SDK appends its own configuration, or how to report an unreadable response.
ADDITIONS = (". Config: ", " This is likely a bug in the Databricks SDK")


class OneAttempt(RealClock):
    """Prevents retries by the SDK: only its caller knows which requests are safe to repeat."""

    def sleep(self, seconds: float) -> None:  # noqa: ARG002 - the SDK's signature
        """Raise the error instead of pausing before another attempt."""
        if error := sys.exception():
            raise error


def config(**login: Any) -> Config:  # noqa: ANN401 - arguments of the SDK
    """Return a configuration of the SDK; without arguments, with its own login."""
    # At its start the client asks the host for its kind, and logs a failure that does not matter.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    return Config(
        http_timeout_seconds=HTTP_TIMEOUT_S, retry_timeout_seconds=1, clock=OneAttempt(), **login
    )


def is_safe(host: str) -> bool:
    """Return whether a login may be sent to a URL: encrypted, or to this machine."""
    parts = urlsplit(host)
    loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    encrypted = parts.scheme == "https" or (loopback and parts.scheme == "http")
    return bool(parts.hostname) and encrypted and "@" not in parts.netloc


@dataclass(frozen=True, slots=True)
class Patience:
    """Repeats requests while the API is busy (429), has failed (5xx) or cannot be reached.

    Attributes:
        tell: Takes a line for the user.
        limit: Seconds after which a failure is final.
        sleep: Waits the given seconds.
        failure: Makes the error of a request that failed, from the problem and its reason.

    """

    tell: Callable[[str], None]
    limit: float = 300.0
    sleep: Sleep = time.sleep
    failure: Callable[[str, str], Exception] = DatabricksRequestFailed

    def ask(self, problem: str, request: Callable[[], Answer]) -> Answer:
        """Make a request, and repeat it if necessary: it must be safe to repeat.

        Raises:
            DatabricksRequestFailed: The API refused it, or it failed until the time was up.

        """
        waited, pause = 0.0, 1.0
        while True:
            try:
                return request()
            except FAILURES as error:
                said = reason(error)
                if not _is_transient(error) or waited >= self.limit:
                    # Without the SDK's own text, which may hold the whole request.
                    raise self.failure(problem, said) from None
                retry_after = getattr(error, "retry_after_secs", None)
            # Follow the server's Retry-After, or back off exponentially, with jitter.
            seconds = max(float(retry_after or 0), pause * random.uniform(0.5, 1))  # noqa: S311
            seconds = min(seconds, max(self.limit - waited, 0.1))
            self.tell(f"{problem}: {said}; trying again in {seconds:.1f} s")
            self.sleep(seconds)
            waited, pause = waited + seconds, min(2 * pause, MAX_PAUSE_S)


def _is_transient(error: Exception) -> bool:
    if isinstance(error, requests.exceptions.SSLError):
        return False
    if type(error) is ValueError:
        return not REFUSED.match(str(error))
    # The SDK has no class of its own for some statuses, such as 502.
    return isinstance(error, TRANSIENT) or type(error) is DatabricksError


def reason(error: Exception) -> str:
    """Return the API's message as one line."""
    message = str(error)
    if isinstance(error, requests.ConnectionError):  # the reason is at the end
        message = message.rpartition(": ")[2].rstrip("'\")")
    for addition in ADDITIONS:
        message = message.partition(addition)[0]
    code = getattr(error, "error_code", None)
    line = " ".join(f"{code or type(error).__name__}: {message}".split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]} …"
