"""Run Prometheus and the Pushgateway (Debian's packages) as child processes, each in a folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

import requests
import yaml

from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, stop, wait_for_line

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

START_S = 120.0
STOP_S = 5.0
TIMEOUT_S = 240.0


class Server:
    """A server that logs a line when it is ready, and keeps its port over restarts."""

    def __init__(self, folder: Path, name: str, ready: str, scheme: str = "http") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (port,) = free_ports(1)
        self.folder = folder
        self.address = f"{HOST}:{port}"
        self.url = f"{scheme}://{self.address}"
        self._command = [name, f"--web.listen-address={self.address}"]
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The path of its log."""
        return self.folder / "server.log"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        logged = self.log.stat().st_size if self.log.exists() else 0
        self._process = spawn(self._command, self.log)
        name = self._command[0]
        wait_for_line(
            self._process, self.log, self._ready, name=name, timeout=START_S, start=logged
        )

    def kill(self) -> None:
        """Kill it, to simulate an outage."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._process is not None:
            stop(self._process, STOP_S)


class Pushgateway(Server):
    """A Pushgateway that loses its metrics at a restart.

    `web` is its web configuration (TLS, passwords); `access` holds arguments for `requests`.
    """

    def __init__(
        self,
        folder: Path,
        web: dict[str, Any] | None = None,
        access: dict[str, Any] | None = None,
    ) -> None:
        tls = web is not None and "tls_server_config" in web
        scheme = "https" if tls else "http"
        super().__init__(folder, "prometheus-pushgateway", 'msg="Listening on"', scheme)
        # By default, Debian's package persists metrics in one file for the whole machine.
        self._command.append("--persistence.file=")
        self._access = access or {}
        if web is not None:
            file = folder / "web.yaml"
            file.write_text(yaml.safe_dump(web))
            self._command.append(f"--web.config.file={file}")

    def groups(self) -> list[dict[str, Any]]:
        """Return the pushed groups: their labels, and their metrics by name."""
        answer = requests.get(f"{self.url}/api/v1/metrics", timeout=TIMEOUT_S, **self._access)
        answer.raise_for_status()
        groups: list[dict[str, Any]] = answer.json()["data"]
        return groups

    def wait_for_groups(self, count: int, timeout: float = TIMEOUT_S) -> list[dict[str, Any]]:
        """Wait until there are `count` pushed groups; return them."""
        deadline = time.monotonic() + timeout
        while len(groups := self.groups()) != count:
            assert time.monotonic() < deadline, f"{len(groups)} groups instead of {count}"
            time.sleep(0.05)
        return groups


class Prometheus(Server):
    """A Prometheus that scrapes its targets (host:port, or URLs) four times a second.

    `config` is the text of a configuration to use instead.
    """

    def __init__(self, folder: Path, *targets: str, config: str | None = None) -> None:
        super().__init__(folder, "prometheus", "Server is ready to receive web requests")
        file = folder / "prometheus.yaml"
        file.write_text(config or scraping(targets))
        self._command += [f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Evaluate an expression; return the labels and the value of each series."""
        answer = requests.get(
            f"{self.url}/api/v1/query", params={"query": expression}, timeout=TIMEOUT_S
        ).json()
        assert answer["status"] == "success", answer
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

    def wait_for(
        self, expression: str, timeout: float = TIMEOUT_S
    ) -> list[tuple[dict[str, str], float]]:
        """Wait until an expression has a result; return it."""
        deadline = time.monotonic() + timeout
        while not (series := self.query(expression)):
            assert time.monotonic() < deadline, f"{expression} has no result"
            time.sleep(0.1)
        return series


def scraping(targets: tuple[str, ...]) -> str:
    """Return a configuration that keeps the labels of the targets, also job and instance."""
    job = {
        "job_name": "tests",
        "honor_labels": True,
        "static_configs": [{"targets": [target.rpartition("://")[2] for target in targets]}],
    }
    return yaml.safe_dump({"global": {"scrape_interval": "250ms"}, "scrape_configs": [job]})
