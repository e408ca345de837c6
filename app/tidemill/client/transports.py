"""Open a transport at its first use: importing its library takes longer than a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill import extras

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.client.sender import Transport


class Transports:
    """The transports of HTTP and gRPC."""

    def __init__(
        self, *, token: str | None, authorities: str | None, connect_timeout: float
    ) -> None:
        """Take what the transports need."""
        self._token = token
        self._authorities = authorities
        self._connect_timeout = connect_timeout
        self._open: dict[bool, Transport] = {}

    def of(self, scheme: str) -> Transport:
        """Return the transport of a scheme; this needs a running event loop.

        Raises:
            MissingExtra: The extra `client` is not installed.

        """
        is_grpc = scheme.startswith("grpc")
        if is_grpc not in self._open:
            with extras.required("client"):
                self._open[is_grpc] = _class(is_grpc=is_grpc)(
                    token=self._token,
                    authorities=self._authorities,
                    connect_timeout=self._connect_timeout,
                )
        return self._open[is_grpc]

    async def close(self) -> None:
        """Close all connections."""
        for each in self._open.values():
            await each.close()


def _class(*, is_grpc: bool) -> Callable[..., Transport]:
    if is_grpc:
        from tidemill.client.grpc_transport import GrpcTransport  # noqa: PLC0415 - only now

        return GrpcTransport
    from tidemill.client.http_transport import HttpTransport  # noqa: PLC0415 - only now

    return HttpTransport
