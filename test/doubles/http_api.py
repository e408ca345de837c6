"""Serve a fake of an HTTP API, which is a function, on a free local port."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = dict[str, Any]
RESET = struct.pack("ii", 1, 0)  # close at once, with a reset


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    query: Json
    body: Json
    authorization: str | None


# Returns the status, body and headers of a response; one request at a time. A status of 0 resets
# the connection instead.
Respond: TypeAlias = Callable[[Asked], tuple[int, str, dict[str, str]]]


@contextmanager
def served(respond: Respond) -> Iterator[str]:
    """Serve an API; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            asked = Asked(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                self._body(self.rfile.read(length)),
                self.headers.get("Authorization"),
            )
            with lock:
                status, body, headers = respond(asked)
            if not status:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def _body(self, body: bytes) -> Json:
            if "x-www-form-urlencoded" in (self.headers.get("Content-Type") or ""):
                return dict(parse_qsl(body.decode()))
            return json.loads(body or b"{}")  # type: ignore[no-any-return]

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    lock = threading.Lock()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
