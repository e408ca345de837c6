"""Run HAProxy (Debian's package) with the file that the container gets."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Self

import requests

from dev import ROOT
from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, stop

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

CONFIG = ROOT / "deploy/local/serving/haproxy.cfg"
# HAPROXY=/path/to/haproxy tries another version.
# Debian installs it where the PATH of users does not lead.
PROGRAM = os.environ.get("HAPROXY") or shutil.which("haproxy") or "/usr/sbin/haproxy"
TIMEOUT_S = 30.0
SAMPLE = re.compile(
    r'^(?P<metric>\w+)\{proxy="(?P<proxy>\w+)-servers",server="(?P<server>\w+)"'
    r'(?:,state="(?P<state>\w+)")?\} (?P<value>\S+)$'
)


class Proxy:
    """A proxy in front of two servers, which are named by their ports for HTTP and gRPC."""

    def __init__(self, folder: Path, one: tuple[int, int], two: tuple[int, int]) -> None:
        self.port, self.grpc_port, self._metrics_port = free_ports(3)
        self.log = folder / "haproxy.log"
        own = {"HTTP": self.port, "GRPC": self.grpc_port, "METRICS": self._metrics_port}
        servers = {"HTTP_1": one[0], "GRPC_1": one[1], "HTTP_2": two[0], "GRPC_2": two[1]}
        self._addresses = {name: f"{HOST}:{port}" for name, port in (own | servers).items()}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it. It listens at once; `up` tells which servers it has found."""
        command = [PROGRAM, "-db", "-f", str(CONFIG)]
        self._process = spawn(command, self.log, env=os.environ | self._addresses)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._process is not None:
            stop(self._process, TIMEOUT_S)

    def up(self, proxy: str = "http") -> set[str]:
        """Return the servers that get requests now, by HAProxy's names: `one`, `two`."""
        states = self._samples("haproxy_server_status", proxy)
        return {server for (server, state), value in states.items() if state == "UP" and value}

    def answered(self, proxy: str = "http") -> dict[str, int]:
        """Return how many requests each server has got so far."""
        counts = self._samples("haproxy_server_sessions_total", proxy)
        return {server: int(count) for (server, _), count in counts.items()}

    def _samples(self, metric: str, proxy: str) -> dict[tuple[str, str], float]:
        url = f"http://{HOST}:{self._metrics_port}/metrics"
        try:
            text = requests.get(url, timeout=TIMEOUT_S).text
        except requests.ConnectionError:  # it is starting
            return {}
        found = filter(None, map(SAMPLE.match, text.splitlines()))
        return {
            (sample["server"], sample["state"]): float(sample["value"])
            for sample in found
            if (sample["metric"], sample["proxy"]) == (metric, proxy)
        }
