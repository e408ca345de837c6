"""Write one JSON line for each request to standard output."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress

import msgspec

FLUSH_S = 0.2
MAX_REQUEST = 300  # characters


class AccessLog:
    """A log without any content of requests; for one event loop.

    Lines are written a moment later, together. A full disk or a closed pipe fails no request.
    """

    def __init__(self) -> None:
        """Begin without lines."""
        self._lines: list[bytes] = []

    def write(self, protocol: str, request: str, status: str, seconds: float, client: str) -> None:
        """Note a request; `request` is method and path, `status` HTTP's number or gRPC's name."""
        line = {
            "time": round(time.time(), 3),
            "protocol": protocol,
            "request": request[:MAX_REQUEST],
            "status": status,
            "seconds": round(seconds, 6),
            "client": client,
        }
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(msgspec.json.encode(line))

    def flush(self) -> None:
        """Write the lines."""
        lines, self._lines = self._lines, []
        with suppress(OSError, ValueError):
            sys.stdout.write("".join(f"{line.decode()}\n" for line in lines))
            sys.stdout.flush()
