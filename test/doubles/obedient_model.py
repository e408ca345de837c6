"""A model that does what each text asks for, so that one batch can hold every misfortune."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

# What a model may leave open.
KEPT: dict[str, Callable[[], object]] = {
    "socket": socket.socket,
    "file": lambda: Path(__file__).open(),  # noqa: SIM115 - it stays open
    "pipe": os.pipe,
    # As libraries do that look for plug-ins.
    "metadata": lambda: list(importlib.metadata.distributions()),
}


class Obedient:
    """Do what the first word of each text asks for; otherwise answer with the process and text."""

    def __init__(self, keep: str = "") -> None:
        """Keep a thread, a helper or a file, fail, or end the process, if asked to."""
        if "helper" in keep and not os.fork():
            time.sleep(3600)
        if "thread" in keep:
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        if keep in KEPT:
            self.kept = KEPT[keep]()
        if keep == "temporary":
            tempfile.mkdtemp()
        if keep == "fail":
            raise OSError("no disk")
        if "exit" in keep:
            os._exit(4)
        if "hang" in keep:
            time.sleep(3600)
        self._is_full = False
        if keep == "zombies":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        outputs: list[str] = []
        for text in inputs:
            order, value, *_ = [*text.split(), "", ""]
            if order == "hoard" or self._is_full:
                self._is_full = True  # as if it still held the memory
                raise MemoryError
            if order == "drop":
                return outputs
            if order in ORDERS:
                ORDERS[order](value)
            outputs.append(json.dumps([os.getpid(), text]))
        return outputs


def _fail(_: str) -> NoReturn:
    raise ValueError("as asked")


def _leave_helper(seconds: str) -> NoReturn:
    """Fork a helper, which inherits what this process has open, and end."""
    if not os.fork():
        time.sleep(float(seconds))
    os._exit(5)


def _use_memory(_: str) -> NoReturn:
    raise MemoryError


def _close_output(_: str) -> None:
    """Close standard output, as a model does that believes to be alone in its process."""
    sys.stdout.close()


def _print(_: str) -> None:
    """Print to both standard streams, and to their files."""
    print("from the model")  # noqa: T201 - as models do
    print("from the model", file=sys.stderr)  # noqa: T201
    os.write(1, b"from the model\n")
    os.write(2, b"\xff\0\n")


ORDERS: dict[str, Callable[[str], object]] = {
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "hang": lambda _: time.sleep(3600),
    "raise": _fail,
    "leave": lambda _: sys.exit("as asked"),
    "print": _print,
    "close": _close_output,
    "signal": lambda number: os.kill(os.getpid(), int(number)),
    "segfault": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda code: os._exit(int(code)),
    "helper": _leave_helper,
    "memory": _use_memory,
    "temporary": lambda _: tempfile.mkdtemp(),
}
