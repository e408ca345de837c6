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
import yaml

from dev import PYTHONPATH, ROOT
from faults import job_processes
from tidemill.spark import daemon
from tidemill.spark.conf import SINGLE_THREADED_ARROW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Daemon:
    """The daemon, started and asked for workers as Spark's JVM does it."""

    def __init__(self, models: Path, sockets: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", daemon.__name__, "pyspark.worker"],
            env={
                **os.environ,
                "PYTHONPATH": f"{PYTHONPATH}:{ROOT / 'test' / 'doubles'}",
                "OPENBLAS_NUM_THREADS": "1",
                **SINGLE_THREADED_ARROW,
                "PYTHON_UNIX_DOMAIN_ENABLED": "true",
                "PYTHON_WORKER_FACTORY_SOCK_DIR": str(sockets),
                "PYTHON_DAEMON_KILL_WORKER_ON_FLUSH_FAILURE": "1",
                daemon.MODELS_VARIABLE: str(models),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        # The JVM reads the first bytes as the length of the socket's path, whatever they are.
        (size,) = struct.unpack("!i", self.process.stdout.read(4))
        self._path = self.process.stdout.read(size)

    def parent_of_a_worker(self) -> int | None:
        """Request a worker; return the id of the process that forked it."""
        worker, connection = self.worker()
        with connection:
            return job_processes.parent(worker)

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
        # Reading ends when both the daemon and its loader have exited.
        assert self.process.stdout.read() == b""
        self.process.stdout.close()
        self.process.wait(120)


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder for the daemon's socket; `tmp_path` is too long for a socket's path."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def entries(tmp_path: Path) -> Callable[..., Path]:
    """Write a models.yaml with these models, each a class name and its options."""

    def write(*models: tuple[str, dict[str, str]]) -> Path:
        file = tmp_path / "models.yaml"
        entries = [
            {
                "name": f"model-{number}",
                "version": "1",
                "adapter": f"example_models:{adapter}",
                "options": options,
                "match": {"lang": str(number)},
                "result": "answer",
                "sample": "{}",
            }
            for number, (adapter, options) in enumerate(models)
        ]
        file.write_text(yaml.safe_dump({"models": entries}))
        return file

    return write


class TestPreload:
    """Workers are forked from a process that has the models, if it is safe to fork."""

    def test_shared(self, entries: Callable[..., Path], tmp_path: Path, sockets: Path) -> None:
        """Workers share the loaded models, and a model's output does not reach the JVM."""
        log = str(tmp_path / "log")
        models = entries(
            ("Keeper", {"log": log, "what": "nothing"}), ("RecordingModel", {"log": log})
        )
        with Daemon(models, sockets) as running:
            loader, second = (running.parent_of_a_worker() for _ in range(2))
        assert loader == second != running.process.pid
        assert Path(log).read_text().split() == [str(loader)] * 2

    @pytest.mark.parametrize("what", ["thread", "socket"])
    def test_unsafe_to_fork(
        self, entries: Callable[..., Path], tmp_path: Path, sockets: Path, what: str
    ) -> None:
        """If a model has a thread or a socket, workers are forked from a process without models."""
        log = tmp_path / "log"
        with Daemon(entries(("Keeper", {"log": str(log), "what": what})), sockets) as running:
            assert running.parent_of_a_worker() == running.process.pid
        (loader,) = log.read_text().split()
        assert loader != str(running.process.pid)

    def test_model_exits(self, entries: Callable[..., Path], sockets: Path) -> None:
        """If a model exits while it loads, workers are forked from a process without models."""
        with Daemon(entries(("EndsAtLoad", {})), sockets) as running:
            assert running.parent_of_a_worker() == running.process.pid

    @pytest.mark.parametrize("adapter", ["FailsAtLoad", "NoSuchModel"])
    def test_does_not_load(
        self, entries: Callable[..., Path], tmp_path: Path, sockets: Path, adapter: str
    ) -> None:
        """A model that fails to load is skipped, and the others are shared."""
        log = tmp_path / "log"
        models = entries((adapter, {}), ("RecordingModel", {"log": str(log)}))
        with Daemon(models, sockets) as running:
            loader = running.parent_of_a_worker()
        assert log.read_text().split() == [str(loader)]

    def test_no_models(self, tmp_path: Path, sockets: Path) -> None:
        """A missing models.yaml is ignored."""
        with Daemon(tmp_path / "none.yaml", sockets) as running:
            assert running.parent_of_a_worker() != running.process.pid


def test_terminated(tmp_path: Path, sockets: Path) -> None:
    """SIGTERM ends the daemon together with its loader."""
    with Daemon(tmp_path / "none.yaml", sockets) as running:
        loader = running.parent_of_a_worker()
        assert loader
        running.process.terminate()
        running.process.wait(120)
        assert not job_processes.is_running(loader)


def test_cancelled(tmp_path: Path, sockets: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A worker exits without a traceback when Spark closes its connection."""
    with Daemon(tmp_path / "none.yaml", sockets) as running:
        worker, connection = running.worker()
        with connection:
            connection.sendall(
                struct.pack("!ii", 0, 3) + b"2.7"
            )  # refused, but nobody reads the answer
        while Path(f"/proc/{worker}").exists():
            time.sleep(0.05)
    assert "Traceback" not in capfd.readouterr().err
