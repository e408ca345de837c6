"""A real MLflow server, with SQLite behind it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, wait_for_line

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 300.0


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that starts for one file of tests."""
    folder = tmp_path_factory.mktemp("mlflow")
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "mlflow", "server",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
        "--host", HOST, "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    log = folder / "server.log"
    # Otherwise it starts eight more processes, which wait for jobs.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = spawn(command, log, cwd=folder, env=os.environ | quiet)
    # It logs "Application startup complete" before it listens.
    wait_for_line(process, log, "Uvicorn running on", name="mlflow server", timeout=START_S)
    yield f"http://{HOST}:{port}"
    # Its processes survive the end of their parent, and wait long for open connections.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
