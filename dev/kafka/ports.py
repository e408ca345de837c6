"""Find free TCP ports on this machine."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
# Below the ephemeral ports. In that range a client that reconnects to a stopped server can connect
# to itself, and then occupies the server's port.
CANDIDATES: Final = range(20_000, 32_000)

_reserved: set[int] = set()


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
    """Return free ports that nobody else gets from this function until this process ends.

    For the server that gets one may listen much later, or stop and start again.
    """
    shuffled = random.sample(CANDIDATES, len(CANDIDATES))
    ports = (port for port in shuffled if is_free(port) and _reserve(port))
    return list(islice(ports, count))


def _reserve(port: int) -> bool:
    """Reserve a port for this process; return whether nobody had done so."""
    if port in _reserved:  # a process may lock what it has locked
        return False
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _reserved.add(port)
    return True


@cache
def _locks() -> int:
    """Return a file in which each reserved port is a locked byte; the locks end with their owner.

    It stays open: to close it anywhere in this process would end them, too.
    """
    file = Path(tempfile.gettempdir(), f"tidemill-ports-{os.getuid()}")
    return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
