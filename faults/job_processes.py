"""Find a job's processes by their role, through proc(5)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.pipeline.job_process import descendants, kill, pool_owner

if TYPE_CHECKING:
    from collections.abc import Iterable

JVM = "org.apache.spark.deploy.SparkSubmit"
EXECUTOR = "CoarseGrainedExecutorBackend"
WORKER = "pyspark.worker"  # also in the command line of the daemon that forks the workers


def find(driver: int, target: str, hit: int | None = None) -> list[int]:
    """Return the processes to kill for a target; `hit` is a process that hit a failpoint.

    - group: the whole job.
    - driver: the job's Python process.
    - jvm: the driver's JVM.
    - executor: one executor of a cluster; the one that `hit` belongs to, if that is given.
    - worker: every Python worker, but not the daemon that forks workers.
    - server: the server of one pool, which all processes of the pool end with; that of `hit`'s
      executor.
    - member: `hit` if it runs models, else the oldest process of that pool.
    """
    processes = descendants(driver)
    if target == "group":
        return [driver, *processes]
    if target == "driver":
        return [driver]
    if target == "jvm":
        return [pid for pid, command in processes.items() if JVM in command]
    if target == "executor":
        executors = sorted(pid for pid, command in processes.items() if EXECUTOR in command)
        return [pid for pid in executors if hit in descendants(pid)] or executors[:1]
    if target == "worker":
        python = {pid for pid, command in processes.items() if WORKER in command}
        return [pid for pid in python if parent(pid) in python]
    return _find_in_pool(processes, target, hit)


def _find_in_pool(processes: dict[int, str], target: str, hit: int | None) -> list[int]:
    pools = {pid: owner for pid, command in processes.items() if (owner := pool_owner(command))}
    near = {pid for pid in pools if hit in descendants(pools[pid])} or set(pools)
    servers = sorted(pid for pid in near if parent(pid) not in pools)[:1]
    if target == "server":
        return servers
    members = sorted(pid for pid in near if parent(pid) in servers)
    return [hit] if hit in members else members[:1]


def parent(pid: int) -> int | None:
    """Return a process's parent, or None if the process has ended."""
    stat = _stat(pid)
    return int(stat[1]) if stat else None


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    stat = _stat(pid)
    return bool(stat) and stat[0] not in {"Z", "X"}


def kill_orphans(pids: Iterable[int], timeout: float) -> list[int]:
    """Wait until processes end; kill and return those that still run after the timeout."""
    deadline = time.monotonic() + timeout
    while (running := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill(running)
    return running


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
