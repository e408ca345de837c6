"""Run contenders of the benchmark of stores in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench import testbed
from bench.environments.environments import python_of
from dev import PYTHONPATH, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Child:
    """A process that answers lines of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take a process."""
        self._process = process

    def ask(self, *request: float) -> Any:  # noqa: ANN401 - JSON
        """Send a line; return the answer."""
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._line())

    def end(self) -> Any:  # noqa: ANN401 - JSON
        """End the process's input; return what it prints."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return json.loads(self._line())

    def wait_until_ready(self) -> None:
        """Wait until it is ready."""
        while self._line() != "ready\n":
            pass

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._process.args!r} ended"
        return line


@contextmanager
def started(command: list[str], variables: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Start a contender, and wait until it is ready."""
    with subprocess.Popen(
        command,
        env={**environment(), **(variables or {})},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            child = Child(process)
            child.wait_until_ready()
            yield child
        finally:
            process.terminate()


def output(command: list[str]) -> Any:  # noqa: ANN401 - JSON
    """Run a contender; return the JSON of its last line."""
    done = subprocess.run(command, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def ours(module: str, *arguments: object) -> list[str]:
    """Return the command of a contender with our packages."""
    return [sys.executable, "-m", f"bench.contenders.{module}", *map(str, arguments)]


def feasts(*arguments: object) -> list[str]:
    """Return the command of a contender with Feast's packages."""
    return [str(python_of("feast")), "-m", "bench.contenders.store_feast", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Return the environment of a contender."""
    return {**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH, "FEAST_USAGE": "False"}
