"""Follow the servers that a DNS name stands for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.client.endpoints import Endpoint


SOONEST_S = 0.2  # between two lookups

log = logging.getLogger(__name__)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name: all of the kind, IPv4 or IPv6, that the system prefers.

    A server that has an address of each kind would count twice.

    Raises:
        OSError: The name has none.

    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for family, *_, address in found if family == found[0][0]]


class Discovery:
    """Resolves names in the background: every few seconds, and at once when asked to."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        on_servers: Callable[[list[Endpoint]], None],
        *,
        every: float,
    ) -> None:
        """Take servers and groups of servers, and what gets the servers whenever they may differ.

        `every` is a time in seconds.
        """
        self._endpoints = endpoints
        self._on_servers = on_servers
        self._every = every
        self._last: dict[Endpoint, list[Endpoint]] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Resolve the names, if they have not been; from then on keep them up to date."""
        if self._task is None and any(each.is_group for each in self._endpoints):
            await self._look()
            self._task = self._task or asyncio.ensure_future(self._follow())

    def look_now(self) -> None:
        """Resolve the names again, soon."""
        self._wanted.set()

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._wanted.wait()
            self._wanted.clear()
            await self._look()
            await asyncio.sleep(SOONEST_S)

    async def _look(self) -> None:
        """Resolve the names; if one cannot be resolved, its last servers stay."""
        for group in self._endpoints:
            if not group.is_group:
                self._last[group] = [group]
                continue
            try:
                hosts = await resolve(group.host, group.port)
            except OSError as error:
                reason = error.strerror or str(error)
                log.warning("cannot resolve %s: %s", group.host, reason)
                continue
            self._last[group] = [group.at(host) for host in hosts]
        found = (server for servers in self._last.values() for server in servers)
        self._on_servers(list(dict.fromkeys(found)))
