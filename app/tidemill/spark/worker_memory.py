"""Limit the memory of a Python worker."""

from __future__ import annotations

from pathlib import Path

from tidemill.models import machine

# The limit covers the address space, used or not: two spaCy pipelines take 1.8 GiB of it, and 32
# transactional producers another GiB.
MIN_BYTES = 4 * 1024**3
# Their drivers reserve more addresses than the machine has memory.
GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


def worker_memory(user_conf: dict[str, str]) -> dict[str, str]:
    """Return Spark's setting for it: half of the machine's memory, or of the container's.

    Then a message that makes a model take too much memory only fails, or at worst ends its worker.
    On a machine with a GPU there is no limit.
    """
    if any(device.exists() for device in GPU_DEVICES):
        return {}
    # Spark divides the setting by an executor's cores, which are 1 here unless the user sets them.
    cores = int(user_conf.get("spark.executor.cores", "1"))
    limit = max(machine.memory() // 2, MIN_BYTES)
    return {"spark.executor.pyspark.memory": f"{limit // 1024**2 * cores}m"}
