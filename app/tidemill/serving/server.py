"""Run the servers for HTTP and gRPC until a signal, and let running requests finish."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from contextlib import contextmanager, suppress
from functools import partial
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


async def serve(parts: Parts, start: Callable[[], Awaitable[None]]) -> None:
    """Listen, run `start`, and answer until SIGTERM or SIGINT; then let running requests finish.

    If `start` fails, the server stops and raises its error.

    Raises:
        AddressTaken, AddressUnusable: The server cannot listen on its address.
        UnusableCertificate: It cannot use its certificate.

    """
    warn_if_exposed(parts.settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_soon() -> None:
        parts.service.is_draining = True  # not ready any more, so proxies look for another server
        if parts.worker:
            parts.worker.stop_soon()
        loop.call_later(parts.settings.drain_delay, stopped.set)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop_soon)
    stops: list[Stop] = [await start_http(parts, stopped.set)]
    if parts.settings.grpc_port is not None:
        stops.append(await start_grpc(parts))
    if parts.worker:
        parts.worker.start()
        stops.append(partial(parts.worker.stop, parts.settings.drain_timeout))
    starting = asyncio.ensure_future(start())

    def stop_if_failed(_: object) -> None:
        if not starting.cancelled() and starting.exception():
            stopped.set()

    starting.add_done_callback(stop_if_failed)
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


def warn_if_exposed(settings: ServingSettings) -> None:
    """Warn if other machines can connect without a token, or can read tokens on the network."""
    if settings.is_local:
        return
    if settings.tokens is None:
        log.warning(
            "anyone who can connect may use all models, tables and jobs",
            hint="Set `serving.tokens`.",
        )
    elif settings.tls is None:
        hint = "Set `serving.tls_certificate` and `serving.tls_key`."
        log.warning("clients send their tokens unencrypted", hint=hint)


async def start_http(parts: Parts, on_end: Callable[[], None]) -> Stop:
    """Start the server for HTTP; return what stops it. Call `on_end` when it ends."""
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

    gRPC does not say why it cannot listen, so this first opens and closes a socket of its own.
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
        # Connections inherit this option. Without it, a response may wait 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(host, port, setting) from None
        raise AddressUnusable(host, port, error.strerror or error) from None
    return listener


class HttpServer(uvicorn.Server):
    """A server of uvicorn's that leaves signals to its caller."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield
