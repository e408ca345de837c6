"""Find free TCP ports on this machine."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
# Below the ephemeral ports. In that range a client that reconnects to a stopped server can connect
# to itself, and then occupies the server's port.
CANDIDATES: Final = range(20_000, 32_000)
# In this file, each process locks the bytes at the numbers of its ports until it ends. A server
# listens only seconds after its port was chosen; meanwhile no other process may choose it.
CHOSEN: Final = Path(tempfile.gettempdir(), f"tidemill-ports-{os.getuid()}").open("ab")  # noqa: SIM115


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
    """Return different free ports that no other process has chosen.

    They are random, so that two callers in one process rarely get the same.
    """
    found: list[int] = []
    for port in random.sample(CANDIDATES, len(CANDIDATES)):
        if len(found) == count:
            break
        if _choose(port) and is_free(port):
            found.append(port)
    return found


def _choose(port: int) -> bool:
    """Lock a port for this process; return False if another one has it."""
    try:
        fcntl.lockf(CHOSEN, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True
