"""The processes of a job by what they do, as proc(5) shows them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dev.pipeline.job_process import descendants

if TYPE_CHECKING:
    from collections.abc import Iterable

JVM = "org.apache.spark.deploy.SparkSubmit"
EXECUTOR = "CoarseGrainedExecutorBackend"
WORKER = "pyspark.worker"  # its daemon, too, and the process that waits for that


def find(driver: int, victim: str, worker: int | None = None) -> list[int]:
    """Return the processes that a kill of `victim` ends.

    group: everything; driver: the Python process of the job; jvm: its Java; executor: one of a
    cluster, that of a `worker` if one is named; worker: every Python worker, and what it forked
    for its models, but not the daemon that makes them.
    """
    below = descendants(driver)
    if victim == "group":
        return [driver, *below]
    if victim == "driver":
        return [driver]
    if victim == "jvm":
        return [pid for pid, command in below.items() if JVM in command]
    if victim == "executor":
        executors = sorted(pid for pid, command in below.items() if EXECUTOR in command)
        near = [pid for pid in executors if worker in descendants(pid)]
        return near or executors[:1]
    python = {pid for pid, command in below.items() if WORKER in command}
    daemons = {pid for pid in python if parent(pid) in python}
    return [pid for pid in daemons if parent(pid) in daemons]


def parent(pid: int) -> int | None:
    """Return a process's parent; None where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def lives(pid: int) -> bool:
    """Tell whether a process is there and more than a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def any_lives(pids: Iterable[int]) -> bool:
    """Tell whether one of several does."""
    return any(map(lives, pids))


def marked(variable: str, value: str) -> list[int]:
    """Return the processes with this in their environment: what a job that was killed left."""
    wanted = f"{variable}={value}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue  # it has ended, or is another's
            if wanted in environment.split(b"\0"):
                found.append(int(folder.name))
    return found
