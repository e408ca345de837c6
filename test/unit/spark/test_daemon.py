from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from dev import PYTHONPATH, ROOT
from faults import job_processes
from tidemill.models.pool.launch import NO_BACKGROUND_THREADS, THREAD_VARIABLES
from tidemill.spark import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator


class Daemon:
    """The daemon, started and asked for workers as Spark's JVM does it."""

    def __init__(self, sockets: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", daemon.__name__, "pyspark.worker"],
            env={
                **os.environ,
                "PYTHONPATH": f"{PYTHONPATH}:{ROOT / 'test' / 'doubles'}",
                **dict.fromkeys(THREAD_VARIABLES, "1"),
                **NO_BACKGROUND_THREADS,
                "PYTHON_UNIX_DOMAIN_ENABLED": "true",
                "PYTHON_WORKER_FACTORY_SOCK_DIR": str(sockets),
                "PYTHON_DAEMON_KILL_WORKER_ON_FLUSH_FAILURE": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        # The JVM reads the first bytes as the length of the socket's path, whatever they are.
        (size,) = struct.unpack("!i", self.process.stdout.read(4))
        self._path = self.process.stdout.read(size)

    def worker(self) -> tuple[int, socket.socket]:
        """Request a worker; return its process id and the connection to it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(120)
        connection.connect(self._path)
        (worker,) = struct.unpack("!i", connection.recv(4))
        return worker, connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the daemon's standard input, as the JVM's exit does."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.stdout.read() == b""
        self.process.stdout.close()
        self.process.wait(120)


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder for the daemon's socket; `tmp_path` is too long for a socket's path."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def is_mapped(worker: int, library: str) -> bool:
    """Return whether a process has loaded a shared library."""
    return library in Path(f"/proc/{worker}/maps").read_text()


def state(process: int) -> str:
    """Return the state of a process; S if it sleeps."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_shared(sockets: Path) -> None:
    """A new worker has pandas and pyarrow, which the daemon has imported without any thread."""
    with Daemon(sockets) as running:
        worker, connection = running.worker()
        with connection:
            assert job_processes.parent(worker) == running.process.pid
            assert is_mapped(worker, "pandas/")
            assert is_mapped(worker, "pyarrow/")
            assert len(list(Path(f"/proc/{running.process.pid}/task").iterdir())) == 1


def test_terminated(sockets: Path) -> None:
    """SIGTERM ends the daemon."""
    with Daemon(sockets) as running:
        running.worker()[1].close()
        # Amid the fork, Python would drop the exception that the signal raises.
        while state(running.process.pid) != "S":
            time.sleep(0.01)
        running.process.terminate()
        running.process.wait(120)


def test_cancelled(sockets: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A worker exits without a traceback when Spark closes its connection."""
    with Daemon(sockets) as running:
        worker, connection = running.worker()
        with connection:
            connection.sendall(
                struct.pack("!ii", 0, 3) + b"2.7"
            )  # refused, but nobody reads the answer
        while Path(f"/proc/{worker}").exists():
            time.sleep(0.05)
    assert "Traceback" not in capfd.readouterr().err
