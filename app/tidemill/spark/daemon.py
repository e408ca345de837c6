"""Preload the models into Spark's Python daemon, so that all workers share one copy of each.

Spark starts this module instead of `pyspark.daemon` (`spark.python.daemon.module`), and the daemon
forks the workers. A new worker has its models at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import daemon as spark_daemon

from tidemill.errors import TidemillError
from tidemill.models import catalogue
from tidemill.models.isolation import policy

if TYPE_CHECKING:
    import socket

    from tidemill.inference.model import ModelSpec

# Names the models' file in the daemon's environment.
MODELS_VARIABLE = "TIDEMILL_PRELOAD"
REPEAT_S = 2.0
spark_worker = spark_daemon.worker


def main() -> None:
    """Load the models in a child process and run Spark's daemon there.

    This process, which Spark watches, waits for the child. If loading the models ends the child or
    makes it unsafe to fork, run the daemon in this process instead, without models.
    """
    os.setpgid(0, 0)  # like Spark's daemon: ignore Ctrl-C in the terminal
    spark_daemon.worker = worker
    ready, signal_ready = os.pipe()
    loader = os.fork()
    if not loader:
        os.close(ready)
        preload(Path(os.environ[MODELS_VARIABLE]))
        if not policy.can_share_models():
            os._exit(os.EX_SOFTWARE)
        os.write(signal_ready, b"1")
        os.close(signal_ready)
        spark_daemon.manager()
    os.close(signal_ready)
    is_ready = os.read(ready, 1)
    os.close(ready)
    if not is_ready:
        os.waitpid(loader, 0)
        spark_daemon.manager()
    sys.exit(os.waitstatus_to_exitcode(_wait_and_forward_sigterm(loader)) % 256)


def _wait_and_forward_sigterm(child: int) -> int:
    """Return the wait status of a child when it ends; pass SIGTERM on to it meanwhile.

    Repeat the signal until the child ends. Spark's daemon exits by an exception of its handler, and
    Python drops that exception if the signal arrives in a callback of `os.fork`.
    """
    awaited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    is_terminated = False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        if is_terminated:
            os.kill(child, signal.SIGTERM)
        received = signal.sigtimedwait(awaited, REPEAT_S)
        is_terminated |= received is not None and received.si_signo == signal.SIGTERM


def worker(sock: socket.socket, authenticated: bool) -> int:  # noqa: FBT001 - Spark's
    """Run Spark's worker, but end without a traceback if Spark has cancelled the task."""
    try:
        return spark_worker(sock, authenticated)
    except BrokenPipeError:  # Spark has closed the connection
        return os.EX_IOERR


def preload(models: Path) -> None:
    """Load the models, and also pandas and pyarrow, which every worker imports.

    Skip a model that fails to load; the worker that needs it reports the error.
    """
    stdout, stderr = sys.stdout.fileno(), sys.stderr.fileno()
    spark = os.dup(stdout)
    os.dup2(stderr, stdout)  # Spark parses the daemon's standard output, and a model may print
    import pandas as pd  # noqa: F401, PLC0415 - the parent process does not need it
    import pyarrow as pa  # noqa: F401, PLC0415

    specs: tuple[ModelSpec, ...] = ()
    with suppress(TidemillError):
        specs = catalogue.load_models(models)
    for spec in specs:
        with suppress(TidemillError):
            policy.loader()(spec)
    sys.stdout.flush()
    os.dup2(spark, stdout)
    os.close(spark)
    # The garbage collector writes to every object, which would copy the shared memory.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
