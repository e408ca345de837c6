"""Probe a running job, as an exec probe or a person does."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tidemill.errors import MetricsPortUnset, ProbeFailed, UnexpectedJob
from tidemill.monitoring.health import GROUP_HEADER

if TYPE_CHECKING:
    from tidemill.settings import MonitoringSettings

TIMEOUT_S = 5.0
# A server that listens on all addresses is reached through loopback.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a target, not a bind address


def ask(monitoring: MonitoringSettings, group_id: str, path: str) -> tuple[bool, str]:
    """Return whether the probe of `/healthz` or `/readyz` succeeded, and its response text.

    Raises:
        UnexpectedJob: The answering job has another consumer group.
        MetricsPortUnset: The settings name no fixed port.
        ProbeFailed: Nothing answers within five seconds.

    """
    if not monitoring.metrics_port:
        raise MetricsPortUnset(monitoring.metrics_port)
    host = EVERYWHERE.get(monitoring.metrics_host, monitoring.metrics_host)
    connection = HTTPConnection(host, monitoring.metrics_port, timeout=TIMEOUT_S)
    with closing(connection):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read(4096).decode(errors="replace").strip()
            group = unquote(response.getheader(GROUP_HEADER, ""))
        except (OSError, HTTPException) as error:
            raise ProbeFailed(host, monitoring.metrics_port, error) from None
    if group != group_id:
        raise UnexpectedJob(host, monitoring.metrics_port, group, group_id)
    return response.status == 200, text  # noqa: PLR2004 - HTTP's own number
