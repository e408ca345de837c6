"""The programs of a round of `make faults-tasks`: workers or a server beside one, and a client."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from dev import PYTHONPATH, ROOT
from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn
from dev.pipeline.job_process import descendants, kill
from faults import task_client
from faults.task_checker import lines
from faults.task_jobs import JOBS
from tidemill.settings import Settings
from tidemill.tasks import child

if TYPE_CHECKING:
    from pathlib import Path

    from faults.task_database import Database

Process = subprocess.Popen[bytes]

TAKE_OVER_S: Final = 2
WORKERS: Final = 2
BUSY_S: Final = 200
BEGUN: Final = 0.7
BEGUN_S: Final = 5
STARTED: Final = "worker started"
MOST: Final = 2000  # characters of a log
START_S: Final = 200
END_S: Final = 200


class Programs:
    """Two workers on one database, one of them beside a server if there is one, and a client."""

    def __init__(self, folder: Path, database: Database, *, serve: bool) -> None:
        """Write the settings."""
        self.database = database
        self.folder = folder
        self.server: Process | None = None
        self.workers: list[Process] = []
        self.client: Process | None = None
        self.problems: list[str] = []
        self._serve = serve
        (self._port, grpc) = free_ports(2)
        settings = {
            "store": {"url": database.url},
            "tasks": {"jobs": JOBS, "take_over": TAKE_OVER_S, "slots": 2},
            "serving": {"http_port": self._port, "grpc_port": grpc, "access_log": False},
        }
        Settings.model_validate(settings)
        self._config = folder / "config.yaml"
        self._config.write_text(json.dumps(settings), "utf-8")

    def __enter__(self) -> Self:
        """Start all."""
        if self._serve:
            self.start_server()
        while len(self.workers) < WORKERS - self._serve:
            self.start_worker()
        self.start_client()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left."""
        for process in [*self.workers, self.server, self.client]:
            if process is not None:
                end(process)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://{HOST}:{self._port}"

    def start_worker(self) -> None:
        """Start another worker."""
        self.workers.append(self._spawn("tidemill", "task", "work", "-c", str(self._config)))

    def start_client(self) -> None:
        """Start the client."""
        where = [self.url] if self._serve else []
        self.client = self._spawn(task_client.__name__, str(self._config), str(self.folder), *where)

    def start_server(self) -> None:
        """Start the server, and wait until it is ready."""
        self.server = self._spawn("tidemill", "serve", "-c", str(self._config))
        end_ = time.monotonic() + START_S
        while not self._is_ready():
            assert self.server.poll() is None, f"the server ended: {self._log(self.server)[-MOST:]}"
            assert time.monotonic() < end_, "the server is not ready"
            time.sleep(0.1)

    def busy(self) -> Process:
        """Return a worker that runs tasks, as soon as there is one.

        Most often one whose task has begun; else its process may be about to start.
        """
        if random.random() < BEGUN:  # noqa: S311 - no secret
            end_ = time.monotonic() + BEGUN_S
            while time.monotonic() < end_:
                latest = {note["task"]: note for note in lines(self.folder / "notes")}.values()
                begun = {note["worker"] for note in latest if note["what"] == "begin"}
                if found := [each for each in self._busy() if each.pid in begun]:
                    return random.choice(found)  # noqa: S311 - no secret
                time.sleep(0.05)
        return random.choice(list(self._busy()))  # noqa: S311 - no secret

    def task_process(self) -> int:
        """Return the process of a task, as soon as there is one."""
        busy = self._busy(with_server=True)
        return random.choice([task for each in busy.values() for task in each])  # noqa: S311

    def _busy(self, *, with_server: bool = False) -> dict[Process, list[int]]:
        """Return the processes of tasks by their workers, as soon as there are any."""
        end_ = time.monotonic() + BUSY_S
        while True:
            every = [*self.workers, *([self.server] if self.server and with_server else [])]
            if found := {each: tasks for each in every if (tasks := tasks_of(each))}:
                return found
            assert time.monotonic() < end_, "no worker runs a task"
            self.revive()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the workers; note those that do not end as they should."""
        every = [*self.workers, *([self.server] if self.server else [])]
        for each in every:
            each.terminate()
        for each in every:
            with suppress(subprocess.TimeoutExpired):
                each.wait(END_S)
            text = self._log(each)
            if each.returncode != 0 and STARTED in text:  # else it could not handle a signal yet
                self.problems.append(f"a worker ended with {each.returncode}: {text[-MOST:]}")

    def revive(self) -> None:
        """Start what ended because the database was away at its start; note what else ended."""
        for each in [*self.workers, *([self.server] if self.server else [])]:
            if each.poll() is None:
                continue
            text = self._log(each)
            if STARTED in text or "Traceback" in text:
                self.problems.append(f"a program ended with {each.returncode}: {text[-MOST:]}")
            if each is self.server:
                self.start_server()
            else:
                self.workers.remove(each)
                self.start_worker()

    def _is_ready(self) -> bool:
        ready = f"{self.url}/readyz"
        with suppress(OSError), urllib.request.urlopen(ready, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
        return False

    def _spawn(self, module: str, *arguments: str) -> Process:
        path = os.pathsep.join([PYTHONPATH, str(ROOT)])
        log = self.folder / f"log-{time.monotonic_ns()}"
        process = spawn(
            [sys.executable, "-m", module, *arguments],
            log,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
        )
        log.rename(self.folder / f"log-{process.pid}")
        return process

    def _log(self, process: Process) -> str:
        return (self.folder / f"log-{process.pid}").read_text("utf-8")


def tasks_of(process: Process) -> list[int]:
    """Return the processes of the tasks that a worker runs."""
    return [
        pid for pid, command in descendants(process.pid).items() if f" {child.__name__} " in command
    ]


def end(process: Process, *, group: bool = False) -> None:
    """Kill a program, alone or with all that it has started."""
    others = descendants(process.pid) if group else {}
    kill([process.pid, *others])
    process.wait()
