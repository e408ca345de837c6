"""Load the models, and keep the pool's processes running until the owner ends.

    python -m tidemill.models.pool.server FOLDER OWNER PROCESSES shared|separate STARTER

The entries come pickled through standard input, from the process with the id STARTER. A byte on
standard output answers whether clients can connect to FOLDER/socket. Until then, this process ends
with STARTER; after that, all processes of the pool end with OWNER.

There is no dispatcher: the processes accept connections from one listening socket, and the kernel
gives the next connection to one that waits. With `shared`, they are forked from the process that
loaded the models, and share its memory. That needs models that keep no threads and no open files;
otherwise this program ends, and must be started with `separate`, so that each process loads its
own.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import shutil
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib.metadata import MetadataPathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.errors import TidemillError
from tidemill.models import host
from tidemill.models.isolation import child, procfs
from tidemill.models.pool.member import LOAD_SECONDS
from tidemill.models.pool.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

SOCKET = "socket"
# The answers to the process that starts the server.
READY, NOT_SHAREABLE = b"1", b"0"


def main() -> None:
    """Run the server until its owner ends."""
    folder, owner, processes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    child.die_with_parent(int(sys.argv[5]))
    specs = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    try:
        owner_fd = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    # Otherwise a helper that a model forks would keep the starter waiting.
    os.register_at_fork(after_in_child=answer.close)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a model may print
    if sys.argv[4] == "shared" and not load_shareable(specs):
        log.warning("a model keeps threads or open files: each process loads its own")
        answer.write(NOT_SHAREABLE)
        os.killpg(0, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the starter or a model may ignore it
    listener = socket.socket(socket.AF_UNIX)
    (folder / SOCKET).unlink(missing_ok=True)
    listener.bind(os.fspath(folder / SOCKET))
    listener.listen(socket.SOMAXCONN)
    child.outlive_parent()
    answer.write(READY)
    answer.close()
    supervisor = Supervisor(listener, specs, processes)
    try:
        if supervisor.run(owner_fd):
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:  # noqa: BLE001 - Python would print it after the end
        traceback.print_exc()
    finally:
        supervisor.end()


def load_shareable(specs: Sequence[ModelSpec]) -> bool:
    """Load the models; return whether forks of this process may use them.

    A fork copies no other thread, and a lock that one holds stays locked. Two processes that share
    a socket or a pipe get each other's responses; two that share a file move each other's position
    in it. A model that does not load is skipped here: the first slice for it reports why.
    """
    before = procfs.open_files()
    signal.alarm(LOAD_SECONDS)  # its default is to kill this process
    for spec in specs:
        with suppress(TidemillError):
            host.load(spec)
    signal.alarm(0)
    # Looking up the version of a package keeps the archives in sys.path open, such as pyspark.zip.
    MetadataPathFinder().invalidate_caches()
    # The garbage collector writes to every object, which would copy the shared memory.
    gc.collect()
    gc.freeze()
    return not procfs.has_threads() and procfs.open_files() <= before


if __name__ == "__main__":
    main()
