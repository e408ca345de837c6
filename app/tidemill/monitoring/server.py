"""Serve /metrics, /healthz and /readyz on the driver, and /metrics of a worker of long tasks."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import make_wsgi_app

from tidemill.errors import MetricsAddressUnusable, MetricsPortTaken
from tidemill.monitoring.health import GROUP_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

    from tidemill.monitoring.health import Health


log = structlog.get_logger(__name__)


class Server(ThreadingMixIn, WSGIServer):
    """A server with a thread for each request, so that a slow client delays no other."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Log dropped or stalled client connections at DEBUG."""
        log.debug(
            "a client dropped its request", client=client_address, error=repr(sys.exception())
        )

    def server_bind(self) -> None:
        """Bind without a name lookup."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port, *_ = self.socket.getsockname()
        self.setup_environ()


class Handler(WSGIRequestHandler):
    """A handler that logs no requests and times out silent clients."""

    timeout = 10

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the library's signature
        """Log nothing."""


def listen(host: str, port: int) -> Server:
    """Return a listening server. Port 0 means any free port.

    Raises:
        MetricsPortTaken: Another program listens on this port.
        MetricsAddressUnusable: The host is not this machine, or the user may not use the port.

    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        server_class: Any = type("Server", (Server,), {"address_family": family})
        server: Server = server_class(address, Handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise MetricsPortTaken(host, port) from None
        raise MetricsAddressUnusable(host, port, error.strerror or error) from None
    return server


def metrics_server(
    host: str, port: int, registry: CollectorRegistry, health: Health, group_id: str
) -> AbstractContextManager[tuple[str, int]]:
    """Serve a job's metrics and probes; see `serve_application`."""
    return serve_application(host, port, application(registry, health, group_id))


@contextmanager
def serve_application(
    host: str, port: int, application: WSGIApplication
) -> Iterator[tuple[str, int]]:
    """Serve within the context; yield the address. Port 0 means any free port.

    Raises:
        MetricsPortTaken: Another program listens on this port.
        MetricsAddressUnusable: The host is not this machine, or the user may not use the port.

    """
    server = listen(host, port)
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, name="metrics-server", daemon=True)
    thread.start()
    try:
        yield server.server_name, server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def application(registry: CollectorRegistry, health: Health, group_id: str) -> WSGIApplication:
    """Return the WSGI application (PEP 3333)."""
    metrics = make_wsgi_app(registry)
    probes: dict[str, Callable[[], str | None]] = {
        "/healthz": health.liveness_problem,
        "/readyz": health.readiness_problem,
    }

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            body: Iterable[bytes] = metrics(environ, start_response)
            return body
        if path in probes:
            problem = probes[path]()
            status = "503 Service Unavailable" if problem else "200 OK"
            return text(start_response, status, problem or "ok")
        return text(start_response, "404 Not Found", "not found: use /metrics, /healthz or /readyz")

    def text(start_response: StartResponse, status: str, line: str) -> list[bytes]:
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            (GROUP_HEADER, quote(group_id)),
        ]
        start_response(status, headers)
        return [f"{line}\n".encode()]

    return answer
