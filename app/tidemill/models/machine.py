"""What this machine has, also in a container with limits: cores and memory."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def cores() -> int:
    """Return how many cores this process may use, also in a container with a CPU limit."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = CPU_QUOTA.read_text("ascii").split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return count


def memory() -> int:
    """Return the bytes of memory of this machine or, if it has less, of the container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such file, or "max": no limit
        total = min(total, int(CGROUP_LIMIT.read_text("ascii")))
    return total


def model_memory() -> int:
    """Return how many bytes loaded models may take by default, in all processes of a pool.

    It is half of the memory, or of the address space if a process may have less of it.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return (memory() if limit == resource.RLIM_INFINITY else min(memory(), limit)) // 2
