"""Run `tidemill serve` for a suite, and tell its tests where it listens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dev import PYTHONPATH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTTP, GRPC = "TIDEMILL_HTTP", "TIDEMILL_GRPC"
START_S: Final = 120


class Addresses(NamedTuple):
    """Where a server listens: the URL of HTTP, and gRPC's host and port."""

    http: str
    grpc: str


def addresses() -> Addresses:
    """Return the addresses that the environment of a suite's tests names."""
    return Addresses(os.environ[HTTP], os.environ[GRPC])


@contextmanager
def running(models: list[dict[str, Any]], folder: Path) -> Iterator[Addresses]:
    """Run a server, whose log and models are in a folder, until the end of the context."""
    path = folder / "models.yaml"
    path.write_text(json.dumps({"models": models}), "utf-8")  # JSON is YAML
    settings = {
        "MODELS": str(path),
        "LOG__FORMAT": "json",
        "POOL__PROCESSES": "1",
        "POOL__PRELOAD": "all",
        "SERVING__HTTP_PORT": "0",
        "SERVING__GRPC_PORT": "0",
    }
    environment = {f"TIDEMILL__{name}": value for name, value in settings.items()}
    log = folder / "server.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "tidemill", "serve"],
            env=os.environ | {"PYTHONPATH": PYTHONPATH} | environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        ) as process,
    ):
        try:
            give_up = time.monotonic() + START_S
            while not (found := _listening(log.read_text("utf-8"))):
                assert process.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < give_up, log.read_text("utf-8")
                time.sleep(0.1)
            yield found
        finally:
            process.terminate()


def _listening(log: str) -> Addresses | None:
    """Return the addresses in a log once the models have been tried."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    found = [line["address"] for line in lines if "address" in line]
    is_ready = any(line.get("event", "").startswith("ready") for line in lines)
    return Addresses(*found) if is_ready and len(found) == 2 else None
