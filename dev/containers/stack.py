"""Run the containers of `make up` from a copy of the checkout, with other names and ports."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import requests

from dev.kafka.ports import HOST, free_ports

ROOT = Path(__file__).parents[2]
PORTS = (
    "KAFKA_PORT",
    "METRICS_PORT",
    "PUSHGATEWAY_PORT",
    "PROMETHEUS_PORT",
    "HTTP_PORT",
    "GRPC_PORT",
    "STATS_PORT",
)
# The first build downloads a gigabyte and runs the unit tests.
BUILD_S = 3000


class Stack:
    """A copy of the checkout, whose code a test may change, and its containers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"tidemill-test-{os.getpid()}"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        listed = run(
            "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
        )
        for name in filter(None, listed.split("\0")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)

    def make(self, *targets: str, **variables: str) -> str:
        """Run targets of make; return their output."""
        own = {"STACK": self.name, **{name: str(port) for name, port in self.ports.items()}}
        env = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
        return run("make", *targets, cwd=self.folder, env=env | own | variables)

    def docker(self, *arguments: str) -> str:
        """Run docker; return its output."""
        return run("docker", *arguments, cwd=self.folder)

    def metrics(self) -> str:
        """Return the job's metrics, read through its published port."""
        return requests.get(f"http://{HOST}:{self.ports['METRICS_PORT']}/metrics", timeout=10).text

    def query(self, query: str) -> list[float]:
        """Return the values that Prometheus has for a query."""
        url = f"http://{HOST}:{self.ports['PROMETHEUS_PORT']}/api/v1/query"
        answer = requests.get(url, params={"query": query}, timeout=10).json()
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    def wait_for(self, query: str, value: float, timeout: float = 90) -> None:
        """Wait until Prometheus has exactly this value for a query."""
        deadline = time.monotonic() + timeout
        while (values := self.query(query)) != [value]:
            assert time.monotonic() < deadline, f"{query} is {values}"
            time.sleep(1)

    def names(self, kind: str) -> list[str]:
        """Return the names of its containers, networks or volumes; `kind` is docker's word."""
        field = "{{.Names}}" if kind == "container" else "{{.Name}}"
        everything = ["--all"] if kind == "container" else []
        listed = self.docker(
            kind, "ls", *everything, "--filter", f"name={self.name}", "--format", field
        )
        return listed.split()

    def mounted_volumes(self) -> list[str]:
        """Return the names of the volumes that its containers mount, also anonymous ones."""
        template = "{{range .Mounts}}{{.Name}} {{end}}"
        return self.docker("inspect", "--format", template, *self.names("container")).split()


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command, which must succeed; return its output."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=BUILD_S
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
