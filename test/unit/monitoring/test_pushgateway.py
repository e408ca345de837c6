from __future__ import annotations

import base64
import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Gauge
from structlog.testing import capture_logs

from tidemill.monitoring.pushgateway import PushgatewayExporter
from tidemill.settings import MonitoringSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the gateway received."""

    method: str
    path: str
    authorization: str | None
    body: str


class Gateway(ThreadingHTTPServer):
    """A handler that records requests, and answers each with a given status and text."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: queue.Queue[Request] = queue.Queue()
        self.status, self.text = 202, ""

    def next(self) -> Request:
        """Return the next request."""
        return self.requests.get(timeout=PATIENCE)


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        authorization = self.headers.get("Authorization")
        self.server.requests.put(Request(self.command, self.path, authorization, body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.text.encode())

    # A redirected PUT would become a GET.
    do_GET = do_PUT = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """Run a gateway that accepts every request."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def export(gateway: Gateway) -> Iterator[Callable[..., PushgatewayExporter]]:
    """Start an exporter of one gauge; arguments are settings without `pushgateway_`."""
    started: list[PushgatewayExporter] = []
    registry = CollectorRegistry()
    Gauge("tidemill_ready", "Ready.", registry=registry).set(1)

    def start(interval: float = 3600, **settings: object) -> PushgatewayExporter:
        named = {f"pushgateway_{name}": value for name, value in settings.items()}
        monitoring = MonitoringSettings(
            instance="node/1",
            pushgateway_url=gateway.url,
            pushgateway_interval=interval,
            **named,
        )
        started.append(PushgatewayExporter(monitoring, "tidemill-g", registry).start())
        return started[-1]

    yield start
    for exporter in started:
        exporter.close(PATIENCE)


class TestGroup:
    """Job and instance identify the group that is pushed, and deleted at the end."""

    def test_replaced_and_deleted(
        self, gateway: Gateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """PUT is sent at once, DELETE at the end; an instance may contain any character."""
        exporter = export()
        pushed = gateway.next()
        exporter.close(PATIENCE)
        deleted = gateway.next()
        instance = base64.urlsafe_b64encode(b"node/1").decode()
        assert pushed.path == f"/metrics/job/tidemill-g/instance@base64/{instance}"
        assert (pushed.method, deleted.method) == ("PUT", "DELETE")
        assert deleted.path == pushed.path
        assert "tidemill_ready 1.0" in pushed.body.splitlines()

    def test_again(self, gateway: Gateway, export: Callable[..., PushgatewayExporter]) -> None:
        """The exporter pushes repeatedly."""
        export(interval=0.01)
        assert [gateway.next().method for _ in range(3)] == ["PUT"] * 3


class TestPassword:
    """Only the gateway gets the password."""

    def test_sent(self, gateway: Gateway, export: Callable[..., PushgatewayExporter]) -> None:
        """Push and deletion send it, in UTF-8."""
        exporter = export(username="tidemill", password="gehäim")
        exporter.close(PATIENCE)
        wanted = "Basic " + base64.b64encode("tidemill:gehäim".encode()).decode()
        assert [gateway.next().authorization for _ in range(2)] == [wanted] * 2

    def test_never_logged(
        self, gateway: Gateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """The log does not contain it if the gateway refuses it or is unreachable."""
        gateway.status, gateway.text = 401, "Unauthorized"
        with capture_logs() as logs:
            export(username="tidemill", password="gehäim").close(PATIENCE)
            gateway.shutdown()
            gateway.server_close()
            export(username="tidemill", password="gehäim").close(PATIENCE)
        encoded = base64.b64encode("tidemill:gehäim".encode()).decode()
        assert len(logs) == 2
        assert not any(secret in str(logs) for secret in ("gehäim", encoded))


class TestRefusal:
    """A refusal is logged with the gateway's reason."""

    @pytest.mark.parametrize("status", [400, 401, 404, 500, 301, 307])
    def test_one_line(
        self, status: int, gateway: Gateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """It is logged once; a redirection counts as a refusal, because it would lose the push."""
        gateway.status, gateway.text = status, "pushed metrics are\ninvalid"
        with capture_logs() as logs:
            export(interval=0.01)
            assert [gateway.next().method for _ in range(3)] == ["PUT"] * 3
        (line,) = logs
        assert line["event"].startswith("cannot push metrics to http://127.0.0.1:")
        assert str(status) in logs[0]["error"]
        assert logs[0]["error"].endswith(": pushed metrics are invalid")

    def test_broken_collector(
        self, gateway: Gateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """Metrics that cannot be collected are an outage too, and do not end the exporter."""

        class Broken:
            def collect(self) -> list[object]:
                raise LookupError("broken")

        monitoring = MonitoringSettings(pushgateway_url=gateway.url)
        with capture_logs() as logs:
            PushgatewayExporter(monitoring, "j", Broken()).start().close(PATIENCE)  # type: ignore[arg-type]
        assert "broken" in logs[0]["error"]
        assert gateway.next().method == "DELETE"

    def test_not_deleted(
        self, gateway: Gateway, export: Callable[..., PushgatewayExporter]
    ) -> None:
        """If the deletion fails, the log says that the metrics stay."""
        exporter = export()
        gateway.next()
        gateway.status, gateway.text = 403, "no"
        with capture_logs() as logs:
            exporter.close(PATIENCE)
        assert [line["event"] for line in logs] == ["the pushed metrics stay at the Pushgateway"]
        assert "403" in logs[0]["error"]
