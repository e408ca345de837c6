"""The jobs of `make faults-tasks`, and which one each task of a round is for.

Each task notes when it begins and ends, with a token that its result has, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

OFTEN: Final = 1000  # attempts of a task that kills may interrupt, but that must not fail
JOBS: Final[dict[str, dict[str, Any]]] = {
    "square": {"job": "faults.task_jobs:Square", "attempts": OFTEN},
    "unwanted": {"job": "faults.task_jobs:Square", "attempts": OFTEN},  # its tasks are cancelled
    "die": {"job": "faults.task_jobs:Die", "attempts": 2},
    "refuse": {"job": "faults.task_jobs:Refuse", "attempts": OFTEN},
    "hang": {"job": "faults.task_jobs:Hang", "attempts": OFTEN, "timeout": 2},
}
# How a run ends whose task must fail.
ERRORS: Final = {"die": "TaskCrashed: ", "refuse": "ValueError: ", "hang": "TaskTimedOut: "}
LONGEST_S: Final = 3.0
SLEEP: Final = ["sleep", "1234"]  # what some tasks start beside them


def job_of(task: int) -> str:
    """Return the job that a task is for: of ten, six succeed."""
    return {1: "die", 3: "unwanted", 5: "refuse", 7: "hang"}.get(task % 10, "square")


def parameters_of(task: int, notes: Path) -> dict[str, Any]:
    """Return what a task is submitted with; it takes from 0.2 to 3 seconds."""
    seconds = 0.2 + (LONGEST_S - 0.2) * (task * 37 % 29) / 28
    return {"task": task, "notes": str(notes), "seconds": round(seconds, 2)}


@dataclass
class Parameters:
    """The number of a task, the file for notes, and how long it takes."""

    task: int
    notes: str
    seconds: float

    def note(self, what: str, **more: object) -> None:
        """Append a line, whole even if several processes do it at once."""
        noted = {"task": self.task, "what": what, "at": time.time(), "worker": os.getppid()}
        with Path(self.notes).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({**noted, **more})}\n")


class Square:
    """Takes its time; the result says which attempt it is from."""

    def run(self, parameters: Parameters, report: Callable[..., None]) -> dict[str, object]:
        """Return the square of the task's number; every fourth starts a program beside it."""
        token = uuid.uuid4().hex
        beside = subprocess.Popen(SLEEP).pid if parameters.task % 4 == 0 else None
        parameters.note("begin", token=token, beside=beside)
        end = time.monotonic() + parameters.seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
            report(1 - max(0, left) / parameters.seconds)
        parameters.note("end", token=token)
        return {"square": parameters.task**2, "token": token}


class Die:
    """Kills its own process."""

    def run(self, parameters: Parameters, _report: Callable[..., None]) -> None:
        """Die."""
        parameters.note("begin")
        os.kill(os.getpid(), signal.SIGKILL)


class Refuse:
    """Raises an error."""

    def run(self, parameters: Parameters, _report: Callable[..., None]) -> None:
        """Fail."""
        parameters.note("begin")
        raise ValueError(f"{parameters.task} is refused")


class Hang:
    """Does not end."""

    def run(self, parameters: Parameters, _report: Callable[..., None]) -> None:
        """Ignore SIGTERM, and wait for ever."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        parameters.note("begin")
        while True:
            time.sleep(1)
