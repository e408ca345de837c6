"""Measure a job's processes, their memory, threads and files, and its checkpoint (proc(5))."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dev.pipeline.job_process import descendants, pool_owner
from faults.job_processes import JVM, WORKER

if TYPE_CHECKING:
    from collections.abc import Iterable

# The processes of the pool, and its server.
POOL_PROCESSES = "pool processes"


def measure(driver: int, checkpoint: Path) -> dict[str, float]:
    """Return MiB and threads of each kind of process, open files, and the checkpoint's KiB.

    The kind "workers" is all Python processes but the driver: workers, their daemon and the pool.
    Memory is PSS: each process counts its share of what several use.
    """
    processes = descendants(driver)
    pool = [pid for pid, command in processes.items() if pool_owner(command)]
    kinds = {
        "driver": [driver],
        "java": [pid for pid, command in processes.items() if JVM in command],
        "workers": [*(pid for pid, command in processes.items() if WORKER in command), *pool],
    }
    all_pids = [pid for pids in kinds.values() for pid in pids]
    return {
        **{f"{kind} MiB": sum(map(pss, pids)) for kind, pids in kinds.items()},
        POOL_PROCESSES: len(pool),
        "file handles": sum(map(handles, all_pids)),
        **{f"{kind} threads": sum(map(threads, pids)) for kind, pids in kinds.items()},
        "checkpoint KiB": size(checkpoint.rglob("*")),
    }


def pss(pid: int) -> float:
    """Return a process's proportional set size in MiB, or 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def handles(pid: int) -> int:
    """Return the number of files that a process has open."""
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


def threads(pid: int) -> int:
    """Return the number of threads of a process."""
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    return 0


def size(files: Iterable[Path]) -> float:
    """Return the size of files in KiB; files that disappear meanwhile count as empty."""
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total / 1024
