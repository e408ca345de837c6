from __future__ import annotations

import socket

import pytest
from prometheus_client import CollectorRegistry

from tidemill.errors import MetricsPortUnset, ProbeFailed, UnexpectedJob
from tidemill.monitoring import probe
from tidemill.monitoring.health import Health
from tidemill.monitoring.probe import ask
from tidemill.monitoring.server import metrics_server
from tidemill.settings import MonitoringSettings


def has_ipv6() -> bool:
    """Return whether this machine can connect to itself over IPv6; containers often cannot."""
    with socket.socket(socket.AF_INET6) as probing:
        try:
            probing.bind(("::1", 0))
        except OSError:
            return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 here")


class TestAsk:
    """A probe reaches the job's own server."""

    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "0.0.0.0", pytest.param("::", marks=NEEDS_IPV6)],  # noqa: S104
    )
    def test_answers(self, host: str) -> None:
        """The probe works whichever address the server listens on."""
        health = Health(300)
        with metrics_server(host, 0, CollectorRegistry(), health, "grüppe") as (_, port):
            settings = MonitoringSettings(metrics_host=host, metrics_port=port)
            assert ask(settings, "grüppe", "/healthz") == (True, "ok")
            assert ask(settings, "grüppe", "/readyz") == (
                False,
                "starting: loading Spark and the models",
            )

    def test_another_job(self) -> None:
        """A job of another group is not mistaken for the expected one."""
        with metrics_server("127.0.0.1", 0, CollectorRegistry(), Health(300), "theirs") as (
            _,
            port,
        ):
            settings = MonitoringSettings(metrics_port=port)
            with pytest.raises(UnexpectedJob, match="of group 'theirs', not that of 'ours'"):
                ask(settings, "ours", "/healthz")

    def test_nothing_there(self) -> None:
        """If no job is running, the error names its expected address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            with pytest.raises(ProbeFailed, match=f"{port}.*refused"):
                ask(MonitoringSettings(metrics_port=port), "g", "/healthz")

    def test_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The probe times out if the job hangs."""
        monkeypatch.setattr(probe, "TIMEOUT_S", 0.2)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(ProbeFailed, match="timed out"):
                ask(MonitoringSettings(metrics_port=silent.getsockname()[1]), "g", "/healthz")

    @pytest.mark.parametrize("port", [None, 0])
    def test_no_port(self, port: int | None) -> None:
        """Without a fixed port, a probe is impossible."""
        with pytest.raises(MetricsPortUnset, match=r"monitoring\.metrics_port"):
            ask(MonitoringSettings(metrics_port=port), "g", "/healthz")
