"""The way to a workspace: its Jobs API, and patience with it."""

from __future__ import annotations

import logging
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlsplit

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

from deploy.databricks.errors import RequestFailed, VariableWrong

if TYPE_CHECKING:
    from databricks.sdk.mixins.jobs import JobsExt

Answer = TypeVar("Answer")
Sleep: TypeAlias = Callable[[float], None]

TOKEN = "DATABRICKS_API_TOKEN"  # noqa: S105 - the variable's name
HOST = "DATABRICKS_HOST"
HTTP_TIMEOUT_S = 60
PASSING = (
    TooManyRequests,
    InternalError,
    TemporarilyUnavailable,
    DeadlineExceeded,
    requests.ConnectionError,
    requests.Timeout,
)
LONGEST_PAUSE_S = 30.0
LONGEST_MESSAGE = 500
# What the SDK adds to a message: its own configuration, or how to report an answer it cannot read.
ADDITIONS = (". Config: ", " This is likely a bug in the Databricks SDK")


class OneAttempt(RealClock):
    """Keeps the SDK from repeating requests by itself: what is safe to repeat is known here."""

    def sleep(self, seconds: float) -> None:  # noqa: ARG002 - the SDK's signature
        """Raise what the SDK would try again after a pause."""
        if error := sys.exception():
            raise error


def jobs_of(host: str, token: str) -> JobsExt:
    """Return the Jobs API of a workspace.

    Raises:
        VariableWrong: The host would get the token unencrypted, or one of them cannot be.

    """
    if "://" not in host:
        host = f"https://{host}"
    parts = urlsplit(host)
    loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    secure = parts.scheme == "https" or (loopback and parts.scheme == "http")
    if not parts.hostname or not secure or "@" in parts.netloc:
        raise VariableWrong(HOST, "the workspace's URL, such as https://name.cloud.databricks.com")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise VariableWrong(TOKEN, "a token: it holds characters that none has")
    # At its start the client asks what kind of host this is, and does without an answer.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    config = Config(
        host=f"{parts.scheme}://{parts.netloc}",
        token=token,
        auth_type="pat",
        http_timeout_seconds=HTTP_TIMEOUT_S,
        retry_timeout_seconds=1,
        clock=OneAttempt(),
    )
    return WorkspaceClient(config=config).jobs


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try again where the API is busy (429) or fails on its side (5xx).

    Attributes:
        tell: Takes a line for whoever watches.
        limit: Seconds after which the last failure is final.
        sleep: Waits so many seconds.

    """

    tell: Callable[[str], None]
    limit: float = 300.0
    sleep: Sleep = time.sleep

    def ask(self, what: str, request: Callable[[], Answer]) -> Answer:
        """Return what a request returns; it is repeated, so it must be safe to repeat.

        Raises:
            RequestFailed: It was refused, or failed until the time was up.

        """
        waited, pause = 0.0, 1.0
        while True:
            try:
                return request()
            except (DatabricksError, requests.RequestException) as error:
                said = _said(error)
                if not _passes(error) or waited >= self.limit:
                    raise RequestFailed(what, said) from error
                asked = getattr(error, "retry_after_secs", None)
            # The server's own wish, or longer each time; not all at the same moment.
            seconds = max(float(asked or 0), pause * random.uniform(0.5, 1))  # noqa: S311
            seconds = min(seconds, max(self.limit - waited, 0.1))
            self.tell(f"{what}: {said}; trying again in {seconds:.1f} s")
            self.sleep(seconds)
            waited, pause = waited + seconds, min(2 * pause, LONGEST_PAUSE_S)


def _passes(error: Exception) -> bool:
    if isinstance(error, requests.exceptions.SSLError):
        return False
    # The SDK has no class of its own for some statuses, such as 502.
    return isinstance(error, PASSING) or type(error) is DatabricksError


def _said(error: Exception) -> str:
    """Return the API's own message in one line."""
    message = str(error)
    if isinstance(error, requests.ConnectionError):  # its last words are the reason
        message = message.rpartition(": ")[2].rstrip("'\")")
    for addition in ADDITIONS:
        message = message.partition(addition)[0]
    code = getattr(error, "error_code", None)
    line = " ".join(f"{code or type(error).__name__}: {message}".split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]} …"
