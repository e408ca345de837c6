"""A model that does what each text asks for, so that one batch can hold every misfortune."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import NoReturn


class Obedient:
    """Do what the first word of each text asks for; otherwise answer with the process and text."""

    def __init__(self, keep: str = "") -> None:
        """Keep a thread, a socket or a file open, fail, or end the process, if asked to."""
        if keep == "thread":
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        if keep == "socket":
            self.socket = socket.socket()
        if keep == "file":
            self.file = Path(__file__).open()  # noqa: SIM115 - it stays open
        if keep == "pipe":
            self.pipe = os.pipe()
        if keep == "helper":
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
            if not os.fork():
                time.sleep(300)
        if keep == "fail":
            raise OSError("no disk")
        if keep == "exit":
            os._exit(4)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        outputs = []
        for text in inputs:
            order, value, *_ = [*text.split(), "", ""]
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


ORDERS = {
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "hang": lambda _: time.sleep(3600),
    "raise": _fail,
    "signal": lambda number: os.kill(os.getpid(), int(number)),
    "segfault": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda code: os._exit(int(code)),
    "helper": _leave_helper,
    "memory": _use_memory,
}
