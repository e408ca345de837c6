"""Find free TCP ports on this machine, and reserve them."""

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
# Below the ephemeral ports, of which a client gets one when it connects. If a stopped server had
# such a port, a client that reconnects could get it, connect to itself, and keep it occupied.
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
    """Reserve free ports until this process ends, and return them.

    No other process gets them from this function, even if the servers that use them listen much
    later, or stop and start again.
    """
    shuffled = random.sample(CANDIDATES, len(CANDIDATES))
    ports = (port for port in shuffled if is_free(port) and _reserve(port))
    return list(islice(ports, count))


def _reserve(port: int) -> bool:
    """Reserve a port for this process; return whether it was still to be had."""
    if port in _reserved:  # the kernel would let this process lock it once more
        return False
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _reserved.add(port)
    return True


@cache
def _locks() -> int:
    """Open the file in which a locked byte stands for a reserved port; return its descriptor.

    The kernel removes the locks when the process ends. It would also do so if the process closed
    the file, which therefore stays open.
    """
    file = Path(tempfile.gettempdir(), f"tidemill-ports-{os.getuid()}")
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
