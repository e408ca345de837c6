"""Preload what every Python worker imports into Spark's daemon, which forks the workers.

Spark starts this module instead of `pyspark.daemon` (`spark.python.daemon.module`). A new worker
has pandas and pyarrow at once, and shares their memory. Models are in the pool instead.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from pyspark import daemon as spark_daemon

if TYPE_CHECKING:
    import socket

spark_worker = spark_daemon.worker


def main() -> None:
    """Run Spark's daemon."""
    spark_daemon.worker = worker
    import pandas as pd  # noqa: F401, PLC0415 - workers on a cluster import this module, too
    import pyarrow as pa  # noqa: F401, PLC0415

    # The garbage collector writes to every object, which would copy the shared memory.
    gc.collect()
    gc.freeze()
    spark_daemon.manager()


def worker(sock: socket.socket, authenticated: bool) -> int:  # noqa: FBT001 - Spark's
    """Run Spark's worker, but end without a traceback if Spark has cancelled the task."""
    try:
        return spark_worker(sock, authenticated)
    except BrokenPipeError:  # Spark has closed the connection
        return os.EX_IOERR


if __name__ == "__main__":
    main()
