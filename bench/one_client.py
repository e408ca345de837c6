"""Send requests over one HTTP connection with as little work as possible, and time each."""

from __future__ import annotations

import itertools
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD_END = b"\r\n\r\n"


def times(port: int, requests: Sequence[bytes], seconds: float) -> list[float]:
    """Send one request after the other for some seconds; return the seconds of each answer."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in itertools.cycle(requests):
            start = time.perf_counter()
            connection.sendall(request)
            answer = read(connection)
            now = time.perf_counter()
            assert b" 200 " in answer[:20], answer[:1000]
            taken.append(now - start)
            if now > end:
                return taken
    return taken


def read(connection: socket.socket) -> bytes:
    """Return an answer with its head."""
    answer = bytearray()
    while (head := answer.find(HEAD_END)) < 0:
        answer += received(connection)
    stated = bytes(answer[:head]).lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    length = head + len(HEAD_END) + int(stated)
    while len(answer) < length:
        answer += received(connection)
    return bytes(answer)


def received(connection: socket.socket) -> bytes:
    """Return what has come.

    Raises:
        ConnectionError: The server has closed the connection.

    """
    if content := connection.recv(1 << 18):
        return content
    raise ConnectionError("the server closed the connection")
