"""Run Tidemill's commands as a user does, and show them with what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rich.markup import escape

from dev import PYTHONPATH
from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, stop, tail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

START_S, STOP_S = 120.0, 60.0
MAX_SHOWN = 600  # characters of an answer


class CommandFailed(Exception):
    """A command failed, or a server did not start."""


class Ask(Protocol):
    """Send JSON to a path of a server, or only ask for it, and return the answer."""

    def __call__(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded answer."""


@dataclass(frozen=True, slots=True)
class Shell:
    """A folder in which commands run."""

    console: Console
    folder: Path

    def run(self, line: str) -> str:
        """Run a line of shell, and return what it prints.

        Raises:
            CommandFailed: It failed.

        """
        self.console.print(f"[bold]$ {escape(line)}[/]")
        command = line.replace("tidemill ", f"{sys.executable} -m tidemill ")
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"{line}: {done.stderr}")
        self.console.print(escape(done.stdout.rstrip()))
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[Ask]:
        """Run a server, and yield a function that asks it.

        Raises:
            CommandFailed: It does not start.

        """
        http_port, grpc_port = free_ports(2)
        ports = {"HTTP_PORT": str(http_port), "GRPC_PORT": str(grpc_port)}
        environment = {f"TIDEMILL__SERVING__{name}": port for name, port in ports.items()}
        log = self.folder / "server.log"
        self.console.print("[bold]$ tidemill serve &[/]")
        command = [sys.executable, "-m", "tidemill", "serve"]
        server = spawn(command, log, cwd=self.folder, env=_environment() | environment)
        url = f"http://{HOST}:{http_port}"
        try:
            _wait(f"{url}/readyz", server, log)

            def ask(path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
                text = None if body is None else json.dumps(body)
                data = f" -d '{escape(text)}'" if text else ""
                self.console.print(f"[bold]$ curl {url}{path}{data}[/]")
                content = text.encode() if text else None
                request = urllib.request.Request(url + path, content)  # noqa: S310 - our own
                with urllib.request.urlopen(request, timeout=START_S) as response:  # noqa: S310
                    answer = json.load(response)
                self.console.print(escape(json.dumps(answer)[:MAX_SHOWN]))
                return answer

            yield ask
        finally:
            stop(server, STOP_S)


def _environment() -> dict[str, str]:
    """Return the environment without settings, which may be meant for something else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL__")}
    return kept | {"PYTHONPATH": PYTHONPATH, "TIDEMILL__LOG__LEVEL": "WARNING"}


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(0.1)
    raise CommandFailed(f"tidemill serve: {tail(log)}")
