from __future__ import annotations

import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from tidemill.errors import ConfigurationError, MetricsAddressUnusable, MetricsPortTaken
from tidemill.monitoring.health import GROUP_HEADER, Health
from tidemill.monitoring.metrics import JobMetrics
from tidemill.monitoring.server import Handler, metrics_server

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60


@pytest.fixture
def health() -> Health:
    """A job that has just started."""
    return Health(300)


@pytest.fixture
def registry(health: Health) -> CollectorRegistry:
    """The metrics of that job."""
    registry = CollectorRegistry()
    registry.register(JobMetrics("group", [], lambda: health.readiness_problem() is None))
    return registry


@pytest.fixture
def url(registry: CollectorRegistry, health: Health) -> Iterator[str]:
    """A server on any free port."""
    with metrics_server("127.0.0.1", 0, registry, health, "group") as (host, port):
        yield f"http://{host}:{port}"


class TestProbes:
    """Probes answer Kubernetes and people."""

    def test_starting(self, url: str) -> None:
        """A starting job is alive but not ready, and says why."""
        assert requests.get(f"{url}/healthz", timeout=PATIENCE).text == "ok\n"
        answer = requests.get(f"{url}/readyz", timeout=PATIENCE)
        assert (answer.status_code, answer.text) == (
            503,
            "starting: loading Spark and the models\n",
        )

    def test_ready(self, url: str, health: Health) -> None:
        """A working job is ready."""
        health.heartbeat()
        health.progressed()
        answer = requests.get(f"{url}/readyz", timeout=PATIENCE)
        assert (answer.status_code, answer.text) == (200, "ok\n")
        assert answer.headers[GROUP_HEADER] == "group"

    def test_ended(self, url: str, health: Health) -> None:
        """A job whose query has ended is not alive."""
        health.ended()
        answer = requests.get(f"{url}/healthz", timeout=PATIENCE)
        assert (answer.status_code, answer.text) == (503, "the query has ended\n")

    def test_elsewhere(self, url: str) -> None:
        """Any other path lists the valid ones."""
        answer = requests.get(f"{url}/", timeout=PATIENCE)
        assert answer.status_code == 404
        assert "/metrics" in answer.text


class TestMetrics:
    """Prometheus can scrape the metrics."""

    def test_text(self, url: str) -> None:
        """The text format is valid for Prometheus' own parser."""
        answer = requests.get(f"{url}/metrics", timeout=PATIENCE)
        families = {family.name for family in text_string_to_metric_families(answer.text)}
        assert {"tidemill_info", "tidemill_messages", "tidemill_ready"} <= families

    def test_open_metrics(self, url: str) -> None:
        """A client that asks for OpenMetrics gets it."""
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        answer = requests.get(f"{url}/metrics", headers=wanted, timeout=PATIENCE)
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")


class TestAddress:
    """The server listens on the configured address."""

    def test_taken(self, registry: CollectorRegistry, health: Health) -> None:
        """A port in use is a fault, because it may soon be free; the error says what to do."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            with (
                pytest.raises(
                    MetricsPortTaken, match=rf"127\.0\.0\.1:{port}.*(?s:in use.*metrics_port)"
                ),
                metrics_server("127.0.0.1", port, registry, health, "group"),
            ):
                pass
        assert not issubclass(MetricsPortTaken, ConfigurationError)

    def test_unknown_host(self, registry: CollectorRegistry, health: Health) -> None:
        """A host that is not this machine is a configuration error."""
        with (
            pytest.raises(MetricsAddressUnusable, match=r"nowhere\.invalid"),
            metrics_server("nowhere.invalid", 0, registry, health, "group"),
        ):
            pass
        assert issubclass(MetricsAddressUnusable, ConfigurationError)

    def test_again(self, registry: CollectorRegistry, health: Health) -> None:
        """A closed port can be reused at once."""
        with metrics_server("127.0.0.1", 0, registry, health, "group") as (_, port):
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE)
        with metrics_server("127.0.0.1", port, registry, health, "group") as (_, again):
            assert again == port

    def test_a_silent_client(self, url: str) -> None:
        """A client that connects and sends nothing delays no other client."""
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))):
            assert requests.get(f"{url}/healthz", timeout=PATIENCE).ok

    def test_a_client_that_hangs_up(
        self, url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A client that disconnects, or stops halfway, is logged at DEBUG only."""
        host, port = url.removeprefix("http://").split(":")
        others = set(threading.enumerate())
        with capture_logs() as logs:
            with monkeypatch.context() as hasty:  # not for the request that is to be answered
                hasty.setattr(Handler, "timeout", 0.1)
                for said in (b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n"):
                    for reset in (1, 0):
                        with socket.create_connection((host, int(port))) as client:
                            linger = struct.pack("ii", reset, 0)
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                            client.sendall(said)
                            time.sleep(0.15)
            assert requests.get(f"{url}/healthz", timeout=PATIENCE).ok
            for handler in set(threading.enumerate()) - others:
                handler.join(PATIENCE)
        assert {line["log_level"] for line in logs} == {"debug"}
        assert capfd.readouterr() == ("", "")
