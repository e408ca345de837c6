"""A server over a real socket that answers requests as a script says."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    Action: TypeAlias = str | int | tuple[int, str]

# Actions: answer, close the connection with a reset, answer half, or do nothing.
OK, RESET, HALF, STALL = "ok", "reset", "half", "stall"
LINGER_0 = struct.pack("ii", 1, 0)


class ScriptedServer:
    """Answers plain requests with their inputs, unless the script has another action.

    An action may also be a status, or a status and the value of `Retry-After`. After the last
    action the server answers.
    """

    def __init__(self, *script: Action, host: str = "127.0.0.1", port: int = 0) -> None:
        """Take the script; listen, by default on any port."""
        self.script: list[Action] = list(script)
        self.requests: list[tuple[str, dict[str, str], dict[str, object]]] = []
        self.connections = 0
        self.content = ""  # in place of an answer
        self._released = threading.Event()
        self._connections: list[socket.socket] = []
        self._host, self.port = host, port
        self.start()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://{self._host}:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server((self._host, self.port), backlog=100)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening, and reset all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            _reset(connection)
        self._connections.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._connections.append(connection)
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as reader:
            while line := reader.readline():
                path = line.split()[1].decode()
                pairs = (header.decode().split(":", 1) for header in _headers(reader))
                headers = {name.lower(): value.strip() for name, value in pairs}
                body = json.loads(reader.read(int(headers["content-length"])))
                self.requests.append((path, headers, body))
                action = self.script.pop(0) if self.script else OK
                if not self._act(connection, action, body):
                    return

    def _act(
        self,
        connection: socket.socket,
        action: Action,
        body: dict[str, object],
    ) -> bool:
        """Do one action; return whether the connection goes on."""
        if action == RESET:
            _reset(connection)
            return False
        if action == STALL:
            self._released.wait()
            return False
        status, after = action if isinstance(action, tuple) else (action, None)
        if isinstance(status, str):
            status = 200
        answer = {"outputs": body["inputs"], "model": "scripted", "version": "1"}
        content = self.content or json.dumps(answer)
        head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(content)}\r\n"
        head += "" if after is None else f"Retry-After: {after}\r\n"
        whole = f"{head}\r\n{content}".encode()
        connection.sendall(whole[:-5] if action == HALF else whole)
        if action == HALF:
            _reset(connection)
        return action != HALF


def _headers(reader: Iterable[bytes]) -> Iterable[bytes]:
    for line in reader:
        if line == b"\r\n":
            return
        yield line


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
    connection.close()
