"""Run `tidemill serve` on fixed ports, so that it can be killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import aiohttp
import yaml

from dev import PYTHONPATH
from dev.kafka.ports import HOST, free_ports
from dev.pipeline.job_process import descendants, kill, pool_processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MODEL = """
import json
import time

class Upper:
    def predict_all(self, inputs):
        time.sleep(0.002 * len(inputs))
        return [json.dumps(text.upper()) for text in inputs]
"""
STOP_S = 60.0


class ServedProcess:
    """A server with some models that answer in capitals, and one model process."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """Write its files, and choose its ports."""
        folder.mkdir()
        self._folder = folder
        (folder / "capitals.py").write_text(MODEL)
        entries = [
            {
                "name": name,
                "version": "1",
                "adapter": "capitals:Upper",
                "sample": "a",
                "payload": "text",
                "match": {"to": name},
            }
            for name in names
        ]
        (folder / "models.yaml").write_text(yaml.safe_dump({"models": entries}))
        self._ports = dict(zip(("http", "grpc"), free_ports(2), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        assert self._process is not None
        return self._process.pid

    def url(self, scheme: str) -> str:
        """Return its address for `http` or `grpc`."""
        return f"{scheme}://{HOST}:{self._ports[scheme]}"

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._process = self._launch()
        async with aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                assert self._process.poll() is None, (self._folder / "log").read_text()
                await asyncio.sleep(0.1)

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = {
            "MODELS": str(self._folder / "models.yaml"),
            "POOL__PROCESSES": "1",
            "POOL__PRELOAD": "all",
            "SERVING__HTTP_PORT": str(self._ports["http"]),
            "SERVING__GRPC_PORT": str(self._ports["grpc"]),
            "SERVING__ACCESS_LOG": "false",
        }
        environment = {f"TIDEMILL__{name}": value for name, value in settings.items()}
        path = os.pathsep.join([str(self._folder), PYTHONPATH])
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tidemill", "serve"],
                env={**os.environ, **environment, "PYTHONPATH": path},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    async def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self._process.wait, STOP_S)
        assert code == 0, (self._folder / "log").read_text()

    def kill(self) -> None:
        """Kill it with its model processes."""
        if self._process is not None:
            others = {*descendants(self.pid), *pool_processes(self.pid)}
            self._process.kill()
            kill(others)
            self._process.wait()

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url('http')}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
