"""Ask a running job how it is, as an exec probe or a person does."""

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
# A server that listens everywhere is asked on this machine.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is asked, not bound


def ask(monitoring: MonitoringSettings, group_id: str, path: str) -> tuple[bool, str]:
    """Return whether `/healthz` or `/readyz` is content, and what it said.

    Raises:
        UnexpectedJob: The one that answers there has another consumer group.
        MetricsPortUnset: The settings give the job no port that others could know.
        ProbeFailed: Nothing answers there within five seconds.

    """
    if not monitoring.metrics_port:
        raise MetricsPortUnset(monitoring.metrics_port)
    host = EVERYWHERE.get(monitoring.metrics_host, monitoring.metrics_host)
    connection = HTTPConnection(host, monitoring.metrics_port, timeout=TIMEOUT_S)
    with closing(connection):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            said = response.read(4096).decode(errors="replace").strip()
            group = unquote(response.getheader(GROUP_HEADER, ""))
        except (OSError, HTTPException) as error:
            raise ProbeFailed(host, monitoring.metrics_port, error) from None
    if group != group_id:
        raise UnexpectedJob(host, monitoring.metrics_port, group, group_id)
    return response.status == 200, said  # noqa: PLR2004 - HTTP's own number
