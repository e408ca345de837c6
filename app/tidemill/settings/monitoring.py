"""The section `monitoring`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from tidemill.settings.base import Section, read_null


def _url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as http://pushgateway:9091")
    if parts.username or parts.password:
        raise ValueError("contains a user or password: set pushgateway_username and _password")
    if "/metrics" in parts.path:
        raise ValueError("already names a group: remove /metrics and everything after it")
    return url.rstrip("/")


class MonitoringSettings(Section):
    """Metrics and probes of a running job.

    Attributes:
        metrics_host: The address that serves /metrics, /healthz and /readyz. Set it to `0.0.0.0` if
            others must reach them, as in a container.
        metrics_port: The port of these pages. `0`: any free port, which the log names. `null`: do
            not serve them.
        progress_limit: Seconds without a finished micro-batch, while messages wait, after which
            /readyz fails. Set it higher than the longest micro-batch takes.
        instance: The label `instance` of pushed metrics. Set it if the host's name changes at each
            start, as a pod's does.
        pushgateway_url: The Pushgateway to push to, such as `http://pushgateway:9091`. Set it if
            Prometheus cannot reach the driver.
        pushgateway_interval: Seconds between two pushes. If you raise it above 15, adapt the
            alerts.
        pushgateway_username: The user, if the Pushgateway requires one.
        pushgateway_password: The user's password.
        pushgateway_password_file: A file that holds this password.
        pushgateway_ca_file: PEM file with the certificate authorities to trust; by default those of
            the Python package `certifi`.
        pushgateway_keystore_file: PEM file with the client's private key and certificate, if the
            Pushgateway requires them.

    """

    metrics_host: str = Field("127.0.0.1", min_length=1)
    metrics_port: Annotated[int | None, BeforeValidator(read_null)] = Field(9095, ge=0, le=65535)
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
