"""Write one JSON line for each request."""

from __future__ import annotations

import os
import time
from queue import SimpleQueue
from threading import Thread

import msgspec

STANDARD_OUTPUT = 1
FLUSH_S = 0.2
MAX_LINES = 10_000
# How long the end waits for a reader of the log.
CLOSE_S = 1.0


class AccessLog:
    """A log without any content of requests.

    A thread writes the lines, a moment later and together. A full disk or a closed pipe fails no
    request. If nobody reads the pipe, requests go on, and lines beyond `MAX_LINES` are dropped.
    """

    def __init__(self, descriptor: int = STANDARD_OUTPUT) -> None:
        """Take the file descriptor to write to.

        This avoids the buffer of `sys.stdout`, whose lock a blocked thread would keep.
        """
        self._descriptor = descriptor
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()  # None is the end
        # A daemon, because a pipe that nobody reads would hold up the end of the program.
        self._thread = Thread(target=self._write, name="access-log", daemon=True)

    def write(self, protocol: str, request: str, status: str, seconds: float, client: str) -> None:
        """Note a request; `request` is method and path, `status` HTTP's number or gRPC's name."""
        if self._lines.qsize() >= MAX_LINES:
            return
        line = {
            "time": round(time.time(), 3),
            "protocol": protocol,
            "request": request,
            "status": status,
            "seconds": round(seconds, 6),
            "client": client,
        }
        self._lines.put(msgspec.json.encode(line) + b"\n")
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Write the lines that wait."""
        self._lines.put(None)
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    def _write(self) -> None:
        line = self._lines.get()
        start = b""  # a line break after half a line
        while line is not None:
            time.sleep(FLUSH_S)
            lines = [line]
            while not self._lines.empty() and (line := self._lines.get()) is not None:
                lines.append(line)
            content = b"".join([start, *lines])
            try:
                while content:
                    content = content[os.write(self._descriptor, content) :]
                start = b""
            except OSError:
                start = b"\n"
            if line is not None:
                line = self._lines.get()
