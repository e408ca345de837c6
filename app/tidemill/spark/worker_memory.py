"""How much memory a Python worker may take."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Addresses count, whether used or not: spaCy with two pipelines takes 1.8 GiB of them, and 32
# transactional producers another one.
LEAST = 4 * 1024**3
CGROUP = Path("/sys/fs/cgroup/memory.max")
# Their drivers take more addresses than there is memory.
GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


def worker_memory(own: dict[str, str]) -> dict[str, str]:
    """Return Spark's limit for a worker: half of the machine's memory, or of the container's.

    A message for which a model takes all there is then fails, or ends its worker at the worst. Next
    to a GPU there is no limit. `own` are the user's settings of Spark.
    """
    if any(gpu.exists() for gpu in GPUS):
        return {}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # there is none, or "max"
        memory = min(memory, int(CGROUP.read_text("ascii")))
    # Spark divides it by an executor's cores: by one here, unless the user says otherwise.
    cores = int(own.get("spark.executor.cores", "1"))
    return {"spark.executor.pyspark.memory": f"{max(memory // 2, LEAST) // 1024**2 * cores}m"}
