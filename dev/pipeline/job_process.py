"""Run a command of Tidemill as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dev import PYTHONPATH
from tidemill.models.pool import server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class JobProcess:
    """A process of `python -m app COMMAND`, or of another launcher; its output goes to a file."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *command: str,
        launcher: Sequence[str] = (sys.executable, "-m", "app"),
    ) -> None:
        """Start the process in its own session."""
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
        path = os.pathsep.join(filter(None, [PYTHONPATH, os.environ.get("PYTHONPATH")]))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*launcher, *command],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """The output so far."""
        return self.log.read_text()

    def wait_for(self, text: str, timeout: float = 300) -> None:
        """Wait until the output contains a text."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            self.must_run()
            assert time.monotonic() < deadline, f"no {text!r} in the output:\n{self.output}"
            time.sleep(0.1)

    def must_run(self) -> None:
        """Fail if the process has ended."""
        assert self.process.poll() is None, f"ended early:\n{self.output}"

    def wait(self, timeout: float = 300) -> int:
        """Wait until the process ends; return its exit code."""
        return self.process.wait(timeout)

    def __enter__(self) -> Self:
        """Return the running process."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def descendants(pid: int) -> dict[int, str]:
    """Return all processes below a process, with their command lines.

    Model processes are below the owner of their pool: the worker that started it may have ended.
    """
    processes = running_processes()
    above = {child: pool_owner(command) or up for child, (up, command) in processes.items()}
    tree = {pid}
    while more := {child for child, parent in above.items() if parent in tree} - tree:
        tree |= more
    return {child: processes[child][1] for child in tree - {pid}}


def pool_processes(job: int) -> list[int]:
    """Return the model processes of a job."""
    return [pid for pid, command in descendants(job).items() if pool_owner(command)]


def pool_owner(command: str) -> int | None:
    """Return the owner of the pool that a command line belongs to, if any."""
    _, _, arguments = command.partition(f" {server.__name__} ")
    return int(arguments.split()[1]) if arguments else None


def running_processes() -> dict[int, tuple[int, str]]:
    """Return each process's parent and command line (proc(5)), except for zombies."""
    processes = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended
            state, parent, *_ = stat.rpartition(")")[2].split()
            if state != "Z":
                text = command.replace(b"\0", b" ").decode()
                processes[int(folder.name)] = int(parent), text
    return processes


def kill(pids: Iterable[int]) -> None:
    """Kill processes with SIGKILL; ignore those that have already ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
