"""Write one JSON line for each request to standard output."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

import msgspec

MAX_REQUEST = 300  # characters


def write(protocol: str, request: str, status: str, seconds: float, client: str) -> None:
    """Write a line; `request` is method and path, and `status` HTTP's number or gRPC's name.

    It has no content of requests. A full disk or a closed pipe must not fail a request.
    """
    line = {
        "time": round(time.time(), 3),
        "protocol": protocol,
        "request": request[:MAX_REQUEST],
        "status": status,
        "seconds": round(seconds, 6),
        "client": client,
    }
    with suppress(OSError, ValueError):
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()
