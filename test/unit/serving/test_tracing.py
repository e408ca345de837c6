"""Tests of traces, with a collector that only listens."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest
import server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector(http.server.BaseHTTPRequestHandler):
    """Keep what is posted."""

    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        """Accept everything."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """A collector whose address is in the environment; yields what it receives."""
    received: list[tuple[str, bytes]] = []
    handler = type("Handler", (Collector,), {"received": received})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listening.server_port}"
        )
        yield received
        listening.shutdown()
        thread.join()


def test_continued(collector: list[tuple[str, bytes]]) -> None:
    """Spans of both protocols arrive, in the trace that the client began."""
    with server_process.running(traces=True) as server:
        parent = f"00-{TRACE}-b7ad6b7169203331-01"
        assert server.send("/upper", {"inputs": ["a"]}, traceparent=parent).status == 200
        server.infer_grpc("upper", "a")
        assert server.stop() == 0
    paths = {path for path, _ in collector}
    content = b"".join(body for _, body in collector)
    assert paths == {"/v1/traces"}
    assert bytes.fromhex(TRACE) in content
    assert b"POST /upper" in content
    assert b"ModelInfer upper" in content
