"""Choose transports by the schemes of URLs; import only the libraries that these need."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tidemill import extras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidemill.client.sender import Transport


class Transports:
    """The transports of some schemes, each opened at its first request."""

    def __init__(
        self,
        schemes: Iterable[str],
        *,
        token: str | None,
        authorities: str | None,
        connect_timeout: float,
    ) -> None:
        """Take what the transports need.

        Raises:
            MissingExtra: The extra `client` is not installed.

        """
        options = {"token": token, "authorities": authorities, "connect_timeout": connect_timeout}
        with extras.required("client"):
            self._make = {kind: partial(_class(kind), **options) for kind in map(_kind, schemes)}
        self._open: dict[str, Transport] = {}

    def of(self, scheme: str) -> Transport:
        """Return the transport of a scheme; this needs a running event loop."""
        kind = _kind(scheme)
        if kind not in self._open:
            self._open[kind] = self._make[kind]()
        return self._open[kind]

    async def close(self) -> None:
        """Close all connections."""
        for each in self._open.values():
            await each.close()


def _kind(scheme: str) -> str:
    return scheme.removesuffix("s")


def _class(kind: str) -> Callable[..., Transport]:
    if kind == "grpc":
        from tidemill.client.grpc_transport import GrpcTransport  # noqa: PLC0415 - only now

        return GrpcTransport
    from tidemill.client.http_transport import HttpTransport  # noqa: PLC0415 - only now

    return HttpTransport
