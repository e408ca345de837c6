"""The section `monitoring`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from tidemill.settings.base import Section


def _url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as http://pushgateway:9091")
    if parts.username or parts.password:
        raise ValueError("holds a user or password: set pushgateway_username and _password")
    if "/metrics" in parts.path:
        raise ValueError("names a group already: leave out /metrics and what follows")
    return url.rstrip("/")


def _null(value: object) -> object:
    """Read YAML's word for none, which an environment variable can only spell out."""
    return None if value == "null" else value


class MonitoringSettings(Section):
    """Metrics and probes of a running job.

    Attributes:
        metrics_host: The address of /metrics, /healthz and /readyz; `0.0.0.0` in a container.
        metrics_port: Their port. 0: any free port, which the log names; null: none.
        progress_limit: Seconds after which a job is not ready if no micro-batch ended although
            there was something to do; more than the slowest micro-batch takes.
        instance: The label `instance` of pushed metrics. Set it if the host's name changes with
            each start.
        pushgateway_url: The Pushgateway to push to, such as `http://pushgateway:9091`.
        pushgateway_interval: Seconds between two pushes.
        pushgateway_username: The user, if the Pushgateway asks for one.
        pushgateway_password: The user's password.
        pushgateway_password_file: The file that holds it.
        pushgateway_ca_file: PEM file with the authorities to trust; by default the usual ones.
        pushgateway_keystore_file: PEM file with the client's private key and certificate.

    """

    metrics_host: str = Field("127.0.0.1", min_length=1)
    metrics_port: Annotated[int | None, BeforeValidator(_null)] = Field(9095, ge=0, le=65535)
    progress_limit: float = Field(300, gt=0)
    instance: str = Field(default_factory=socket.gethostname, min_length=1)
    pushgateway_url: Annotated[str, AfterValidator(_url)] | None = None
    pushgateway_interval: float = Field(15, gt=0)
    pushgateway_username: str | None = None
    pushgateway_password: SecretStr | None = None
    pushgateway_password_file: Path | None = None
    pushgateway_ca_file: Path | None = None
    pushgateway_keystore_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.pushgateway_username is None) != (self.pushgateway_password is None):
            raise ValueError(
                "pushgateway_username and pushgateway_password (or its _file) go together"
            )
        for name in ("pushgateway_ca_file", "pushgateway_keystore_file"):
            path = getattr(self, name)
            if path and not path.is_file():
                raise ValueError(f"{name}: there is no file {path}")
        return self
