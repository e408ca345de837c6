"""What a job takes of the machine, as proc(5) and its folders show it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dev.pipeline.job_process import descendants

if TYPE_CHECKING:
    from collections.abc import Iterable

JVM = "org.apache.spark.deploy.SparkSubmit"
WORKER = "pyspark.worker"  # its daemon, too, and the process that waits for that


def look(driver: int, checkpoint: Path) -> dict[str, float]:
    """Return memory in MiB and threads for each kind of process, file handles, and the files.

    Memory is PSS: what several processes share counts in parts.
    """
    below = descendants(driver)
    kinds = {
        "driver": [driver],
        "java": [pid for pid, command in below.items() if JVM in command],
        "workers": [pid for pid, command in below.items() if WORKER in command],
    }
    everyone = [pid for pids in kinds.values() for pid in pids]
    return {
        **{f"{kind} MiB": sum(map(pss, pids)) for kind, pids in kinds.items()},
        "file handles": sum(map(handles, everyone)),
        **{f"{kind} threads": sum(map(threads, pids)) for kind, pids in kinds.items()},
        "checkpoint KiB": size(checkpoint.rglob("*")),
    }


def pss(pid: int) -> float:
    """Return a process's share of the memory that it uses, in MiB; 0 where it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def handles(pid: int) -> int:
    """Return how many files a process has open."""
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    return 0


def size(files: Iterable[Path]) -> float:
    """Return the size of files, in KiB; those that go meanwhile have none."""
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total / 1024
