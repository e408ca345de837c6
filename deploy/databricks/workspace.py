"""The API of a workspace, with retries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from databricks.sdk import WorkspaceClient

from deploy.databricks.errors import NoLogin, RequestFailed, VariableWrong
from tidemill.tasks.databricks import api

if TYPE_CHECKING:
    from collections.abc import Callable

    from databricks.sdk.mixins.jobs import JobsExt

TOKEN = "DATABRICKS_API_TOKEN"  # noqa: S105 - the variable's name
HOST = "DATABRICKS_HOST"


@dataclass(frozen=True, slots=True)
class Patience(api.Patience):
    """Repeats requests, and ends with an error of a deployment."""

    failure: Callable[[str, str], Exception] = RequestFailed


def jobs_of(host: str, token: str) -> JobsExt:
    """Return the Jobs API of a workspace.

    Raises:
        VariableWrong: The host or the token is invalid, or the token would be sent unencrypted.

    """
    if "://" not in host:
        host = f"https://{host}"
    _check(host)
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise VariableWrong(TOKEN, "a token; it has characters that no token has")
    parts = urlsplit(host)
    host = f"{parts.scheme}://{parts.netloc}"
    return WorkspaceClient(config=api.config(host=host, token=token, auth_type="pat")).jobs


def client() -> WorkspaceClient:
    """Return a client with the SDK's own login: its variables, or its configuration file.

    Raises:
        NoLogin: There is none, or it fails.
        VariableWrong: The login would be sent unencrypted.

    """
    try:
        config = api.config()
    except api.FAILURES as error:
        raise NoLogin(api.reason(error)) from error
    _check(config.host or "")
    return WorkspaceClient(config=config)


def _check(host: str) -> None:
    if not api.is_safe(host):
        raise VariableWrong(HOST, "the workspace's URL, such as https://name.cloud.databricks.com")
