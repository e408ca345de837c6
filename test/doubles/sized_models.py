"""Models that take memory."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

PART = 1 << 16


class Sized:
    """Take some bytes, note the load in a file, and answer with the process and the input."""

    def __init__(self, log: str, size: int = 0, keep: str = "") -> None:
        """Take the memory; fail in the way that `keep` asks for if this is the pool's server."""
        self._memory = [os.urandom(PART) for _ in range(size // PART)]
        self._self = self  # only the garbage collector can free the memory
        with Path(log).open("a") as lines:
            lines.write(f"{os.getpid()}\n")
        if os.getpgrp() != os.getsid(0):  # the pool's processes have groups of their own
            return
        if keep == "exit":
            os._exit(4)
        if keep == "hang":
            time.sleep(3600)
        if keep == "file":
            self.file = Path(__file__).open()  # noqa: SIM115 - it stays open
        if keep == "fail":
            raise OSError("no disk")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the process, the input and the times; sleep for the input's second word."""
        start = time.monotonic()
        for text in inputs:
            time.sleep(float([*text.split(), "0", "0"][1]))
        times = [start, time.monotonic()]
        return [json.dumps([os.getpid(), text, *times]) for text in inputs]


class Counted:
    """Count the bytes that all models of this class would take."""

    taken = 0

    def __init__(self, size: int) -> None:
        """Take the memory; fail if the size is negative."""
        if size < 0:
            raise OSError("no memory")
        self._size = size
        Counted.taken += size

    def __del__(self) -> None:
        """Give the memory back."""
        Counted.taken -= getattr(self, "_size", 0)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(text) for text in inputs]


class Faulty:
    """Answer with the depth of the stack; in the pool's server, break what `fault` names."""

    def __init__(
        self, fault: str = "", size: int = 0, seconds: float = 0.0, until: str = ""
    ) -> None:
        """Take the memory and the time; in the pool's server, wait until a file is there."""
        self._memory = os.urandom(size)
        time.sleep(seconds)
        if os.getpgrp() != os.getsid(0):
            return
        wait_for(until)
        if fault == "no fork":  # as if the system allowed no more processes
            os.fork = self._fail
        if fault == "no third fork":
            forks = iter([os.fork, os.fork, self._fail])
            fork = os.fork
            os.fork = lambda: next(forks, fork)()  # noqa: PLW0108 - each call takes the next one

    @staticmethod
    def _fail() -> int:
        raise BlockingIOError("no more processes")

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the process and the depth; note inputs `wait FILE`, and wait for the file."""
        depth, frame = 0, sys._getframe()  # noqa: SLF001
        while frame := frame.f_back:  # type: ignore[assignment]
            depth += 1
        for text in inputs:
            if file := text.partition(" ")[2]:
                with Path(f"{file}.begun").open("a") as lines:
                    lines.write(f"{os.getpid()}\n")
            wait_for(file)
        return [json.dumps([os.getpid(), text, depth]) for text in inputs]


def wait_for(file: str) -> None:
    """Wait until a file is there; if it has no name, do not wait."""
    while file and not Path(file).exists():
        time.sleep(0.02)
