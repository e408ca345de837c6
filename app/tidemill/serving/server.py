"""Run the servers for HTTP and gRPC until a signal, and let running requests finish."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import structlog
import uvicorn

from tidemill.errors import AddressTaken, AddressUnusable
from tidemill.serving import grpc_server, tls
from tidemill.serving.http_app import HttpApp
from tidemill.serving.http_protocol import protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tidemill.serving.parts import Parts
    from tidemill.settings.serving import ServingSettings

    # Stops a server: new connections are refused, and running requests finish.
    Stop: TypeAlias = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
BACKLOG = 1024
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


async def serve(parts: Parts, start: Callable[[], Awaitable[None]]) -> None:
    """Listen, run `start`, and answer until SIGTERM or SIGINT; then let running requests finish.

    Raises:
        AddressTaken, AddressUnusable: The server cannot listen on its address.

    """
    warn_of_open_doors(parts.settings)
    stopped = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    stops = [await start_http(parts, stopped.set)]
    if parts.settings.grpc_port is not None:
        stops.append(await start_grpc(parts))
    starting = asyncio.ensure_future(start())
    starting.add_done_callback(lambda _: None if started(starting) else stopped.set())
    try:
        await stopped.wait()
        log.info("stopping when the running requests have finished")
    finally:
        parts.service.is_draining = True
        starting.cancel()
        await asyncio.gather(*(stop() for stop in stops))
        parts.log.close()
    with suppress(asyncio.CancelledError):
        await starting


def warn_of_open_doors(settings: ServingSettings) -> None:
    """Warn if others than this machine can connect, and there is no token or no encryption."""
    if settings.host in LOOPBACK:
        return
    if settings.tokens is None:
        log.warning("whoever can connect may use all models", remedy="Set `serving.tokens`.")
    elif settings.tls is None:
        log.warning("tokens travel unencrypted", remedy="Set `serving.tls_certificate`.")


def started(start: asyncio.Future[None]) -> bool:
    """Tell whether the end of a start is no reason to stop."""
    return start.cancelled() or start.exception() is None


async def start_http(parts: Parts, on_end: Callable[[], None]) -> Stop:
    """Start the server for HTTP; return what stops it. If it ends by itself, call `on_end`."""
    settings = parts.settings
    listener = listen(settings, settings.http_port, "http_port")
    context = tls.context(*settings.tls) if settings.tls else None
    config = uvicorn.Config(
        HttpApp(parts),
        http=protocol(settings.header_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_context_factory=None if context is None else lambda *_: context,
        proxy_headers=False,
        timeout_keep_alive=max(1, round(settings.idle_timeout)),
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
    )
    server = HttpServer(config)
    running = asyncio.ensure_future(server.serve([listener]))
    running.add_done_callback(lambda _: on_end())
    host, port = listener.getsockname()[:2]
    scheme = "https" if context else "http"
    log.info("answering HTTP", address=f"{scheme}://{host}:{port}")

    async def stop() -> None:
        server.should_exit = True
        await running

    return stop


async def start_grpc(parts: Parts) -> Stop:
    """Start the server for gRPC; return what stops it.

    gRPC does not tell why it cannot listen, so this tries it first.
    """
    settings = parts.settings
    with listen(settings, settings.grpc_port or 0, "grpc_port") as listener:
        host, port = listener.getsockname()[:2]
    server = grpc_server.server(parts)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if settings.tls:
            server.add_secure_port(address, tls.grpc_credentials(*settings.tls))
        else:
            server.add_insecure_port(address)
    except RuntimeError:
        raise AddressTaken(host, port, "grpc_port") from None
    await server.start()
    log.info("answering gRPC", address=address)

    async def stop() -> None:
        await server.stop(settings.drain_timeout)

    return stop


def listen(settings: ServingSettings, port: int, setting: str) -> socket.socket:
    """Return a listening socket. Port 0 means any free port.

    Raises:
        AddressTaken: Another program listens on this port.
        AddressUnusable: The host is not this machine, or the user may not use the port.

    """
    host = settings.host
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        # Connections inherit it. Without it, a response may wait 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(host, port, setting) from None
        raise AddressUnusable(host, port, error.strerror or error) from None
    return listener


class HttpServer(uvicorn.Server):
    """uvicorn's server, which leaves signals to its caller."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
