"""The containers of `make up`, from a copy of the checkout, under names and ports of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import requests

from dev.kafka.ports import HOST, free_ports

ROOT = Path(__file__).parents[2]
PORTS = ("KAFKA_PORT", "METRICS_PORT", "PUSHGATEWAY_PORT", "PROMETHEUS_PORT")
# A first build downloads a gigabyte, and runs the unit tests.
BUILD_S = 3000


class Stack:
    """A copy of what git knows here, whose code a test may change, and its containers."""

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
        """Run make's targets; return what they printed."""
        mine = {"STACK": self.name, **{name: str(port) for name, port in self.ports.items()}}
        env = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
        return run("make", *targets, cwd=self.folder, env=env | mine | variables)

    def docker(self, *arguments: str) -> str:
        """Run docker; return what it printed."""
        return run("docker", *arguments, cwd=self.folder)

    def metrics(self) -> str:
        """Return what the job tells of itself, as this machine sees it."""
        return requests.get(f"http://{HOST}:{self.ports['METRICS_PORT']}/metrics", timeout=10).text

    def asked(self, query: str) -> list[float]:
        """Return the values that Prometheus has for a query."""
        url = f"http://{HOST}:{self.ports['PROMETHEUS_PORT']}/api/v1/query"
        found = requests.get(url, params={"query": query}, timeout=10).json()
        return [float(series["value"][1]) for series in found["data"]["result"]]

    def wait_for(self, query: str, value: float, timeout: float = 90) -> None:
        """Wait until Prometheus has this value for a query."""
        deadline = time.monotonic() + timeout
        while (found := self.asked(query)) != [value]:
            assert time.monotonic() < deadline, f"{query} is {found}"
            time.sleep(1)

    def left(self, what: str) -> list[str]:
        """Return the names of its containers, networks or volumes."""
        field = "{{.Names}}" if what == "container" else "{{.Name}}"
        everything = ["--all"] if what == "container" else []
        listed = self.docker(
            what, "ls", *everything, "--filter", f"name={self.name}", "--format", field
        )
        return listed.split()

    def mounted(self) -> list[str]:
        """Return the names of the volumes of its containers, also of those without a name."""
        names = "{{range .Mounts}}{{.Name}} {{end}}"
        return self.docker("inspect", "--format", names, *self.left("container")).split()


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command; return what it printed. It must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=BUILD_S
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
