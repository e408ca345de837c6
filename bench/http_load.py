"""Send requests over a number of HTTP connections, each the next one after an answer."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def request(path: str, body: bytes) -> bytes:
    """Return a POST request of HTTP/1.1 that keeps its connection."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def send(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> tuple[list[float], int]:
    """Return the seconds of each answered request, and how many got another status than 200.

    Each connection sends at least one request. A request whose connection breaks counts as one with
    another status.
    """
    return asyncio.run(_send(port, requests, connections, seconds))


async def _send(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> tuple[list[float], int]:
    taken: list[float] = []
    failed = 0
    endless = itertools.cycle(requests)
    end = time.monotonic() + seconds

    async def client(contents: Iterator[bytes]) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for content in contents:
            start = time.monotonic()
            try:
                writer.write(content)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
            except (OSError, EOFError):
                failed += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            else:
                if b" 200 " in head[:20]:
                    taken.append(time.monotonic() - start)
                else:
                    failed += 1
            if time.monotonic() >= end:
                break
        writer.close()

    await asyncio.gather(*(client(endless) for _ in range(connections)))
    return taken, failed
