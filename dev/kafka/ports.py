"""Find free TCP ports on this machine."""

from __future__ import annotations

import random
import socket
from typing import Final

HOST: Final = "127.0.0.1"
# Below the ephemeral ports. In that range a client that reconnects to a stopped server can connect
# to itself, and then occupies the server's port.
CANDIDATES: Final = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Return whether a server can listen on a port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return different free ports, chosen at random so that two callers rarely get the same."""
    shuffled = random.sample(CANDIDATES, len(CANDIDATES))
    free = [port for port in shuffled[: 10 * count] if is_free(port)]
    return free[:count]
