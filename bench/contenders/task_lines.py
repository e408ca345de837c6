"""What the tasks of each queue do, and how a client submits them when it is asked.

Times are those of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Variables of the environment: the file for the lines, the queue's address, and its options.
LINES, URL, OPTIONS = "TASK_LINES", "TASK_URL", "TASK_OPTIONS"


def run(number: int, seconds: float) -> int:
    """Write a line when the task begins and one when it ends; return its number."""
    _write("begin", number)
    if seconds:
        time.sleep(seconds)
    _write("end", number)
    return number


def _write(what: str, number: int) -> None:
    line = f"{what} {number} {time.monotonic()} {os.getpid()}\n"
    file = os.open(os.environ[LINES], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


def answer(submit: Callable[[int, float], object]) -> None:
    """Read lines with a first number, a count and seconds; submit as many tasks of such a length.

    Answer each with the time before the first and after the last, and the CPU time.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        first, count, seconds = json.loads(line)
        used, begin = time.process_time(), time.monotonic()
        for number in range(first, first + count):
            submit(number, seconds)
        taken = [begin, time.monotonic(), time.process_time() - used]
        print(json.dumps(taken), flush=True)
