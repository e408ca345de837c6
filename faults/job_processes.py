"""Find a job's processes by their role, through proc(5)."""

from __future__ import annotations

import os
from pathlib import Path

from dev.pipeline.job_process import descendants

JVM = "org.apache.spark.deploy.SparkSubmit"
EXECUTOR = "CoarseGrainedExecutorBackend"
WORKER = "pyspark.worker"  # also in the command line of its daemon, and of the daemon's parent


def find(driver: int, target: str, worker: int | None = None) -> list[int]:
    """Return the processes to kill for a target.

    - group: the whole job.
    - driver: the job's Python process.
    - jvm: the driver's JVM.
    - executor: one executor of a cluster; the one that runs `worker`, if that is given.
    - worker: every Python worker and its forks for models, but not the daemon that forks workers.
    """
    below = descendants(driver)
    if target == "group":
        return [driver, *below]
    if target == "driver":
        return [driver]
    if target == "jvm":
        return [pid for pid, command in below.items() if JVM in command]
    if target == "executor":
        executors = sorted(pid for pid, command in below.items() if EXECUTOR in command)
        with_worker = [pid for pid in executors if worker in descendants(pid)]
        return with_worker or executors[:1]
    python = {pid for pid, command in below.items() if WORKER in command}
    daemons = {pid for pid in python if parent(pid) in python}
    return [pid for pid in daemons if parent(pid) in daemons]


def parent(pid: int) -> int | None:
    """Return a process's parent, or None if the process has ended."""
    stat = _stat(pid)
    return int(stat[1]) if stat else None


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    stat = _stat(pid)
    return bool(stat) and stat[0] not in {"Z", "X"}


def with_variable(name: str, value: str) -> list[int]:
    """Return the processes that have a variable in their environment, except this one."""
    wanted = f"{name}={value}".encode()
    pids = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue  # it has ended, or belongs to another user
            if wanted in environment.split(b"\0"):
                pids.append(int(folder.name))
    return pids


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command: first state and parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()
