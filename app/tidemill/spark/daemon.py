"""Spark's Python daemon with the models loaded, so that the workers that it forks share them.

Spark starts it in the place of `pyspark.daemon` (`spark.python.daemon.module`). A model is loaded
once, and not once a worker; a new worker has it at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import daemon as sparks

from tidemill.errors import TidemillError
from tidemill.models import catalogue
from tidemill.models.isolation import procfs

if TYPE_CHECKING:
    import socket

    from tidemill.inference.model import ModelSpec

# The models' file; Spark gives it to the daemon.
MODELS = "TIDEMILL_PRELOAD"
sparks_worker = sparks.worker


def main() -> None:
    """Load the models in a process of its own, which then is Spark's daemon.

    Spark started this one, and watches it: it waits for the other. Where loading ends that, or
    leaves it with what a fork must not copy, this one is the daemon instead, without models.
    """
    os.setpgid(0, 0)  # as Spark's does: a terminal's Ctrl-C is not for it
    sparks.worker = worker
    loaded, done = os.pipe()
    loader = os.fork()
    if not loader:
        os.close(loaded)
        preload(Path(os.environ[MODELS]))
        if not may_fork():
            os._exit(os.EX_SOFTWARE)
        os.write(done, b"1")
        os.close(done)
        sparks.manager()
    os.close(done)
    has_models = os.read(loaded, 1)
    os.close(loaded)
    if has_models:
        signal.signal(signal.SIGTERM, lambda *_: os.kill(loader, signal.SIGTERM))
    _, status = os.waitpid(loader, 0)
    if not has_models:
        sparks.manager()
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


def worker(sock: socket.socket, authenticated: bool) -> int:  # noqa: FBT001 - Spark's
    """Do a task as Spark's worker does, but without a trace where Spark has cancelled it."""
    try:
        return sparks_worker(sock, authenticated)
    except BrokenPipeError:  # nobody listens
        return os.EX_IOERR


def preload(models: Path) -> None:
    """Load every model that loads; why another does not is said by the worker that needs it.

    And pandas with Arrow, which every worker of ours needs.
    """
    out, err = sys.stdout.fileno(), sys.stderr.fileno()
    spark = os.dup(out)
    os.dup2(err, out)  # Spark reads what the daemon prints, and models may print
    import pandas as pd  # noqa: F401, PLC0415 - here, not in the process that waits
    import pyarrow as pa  # noqa: F401, PLC0415

    specs: tuple[ModelSpec, ...] = ()
    with suppress(TidemillError):
        specs = catalogue.load_models(models)
    for spec in specs:
        with suppress(TidemillError):
            catalogue.load(spec)
    sys.stdout.flush()
    os.dup2(spark, out)
    os.close(spark)
    # The collector would write into every object, and so copy the memory that is shared.
    gc.collect()
    gc.freeze()


def may_fork() -> bool:
    """Tell whether a fork gets all of this process, and nothing that only one may use.

    Two that send through one socket get one another's answers.
    """
    return not procfs.has_threads() and not procfs.socket_fds()


if __name__ == "__main__":
    main()
