"""Load the models, and keep the pool's processes running until the owner ends.

    python -m tidemill.models.pool.server FOLDER OWNER PROCESSES shared|separate STARTER

FOLDER is where the socket goes. OWNER and STARTER are process ids. The starter sends the pickled
entries to standard input. The server answers with one byte on standard output: READY if clients can
connect to FOLDER/socket, or NOT_SHAREABLE. If the starter ends before the answer, the server ends
too. After the answer, the whole pool ends when the owner does.

There is no dispatcher. All processes accept connections from one listening socket, and the kernel
gives each new connection to a process that is waiting.

With `shared`, this process loads the models and forks the others, which share its memory. This
works only if the models keep no threads and no open files. If they do, the server answers
NOT_SHAREABLE and ends; the starter then starts it with `separate`, so that each process loads its
own copy.
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
    # A helper that a model forks must not keep the answer open, or the starter would wait for it.
    os.register_at_fork(after_in_child=answer.close)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a model may print
    if sys.argv[4] == "shared" and not load_shareable(specs):
        log.warning("a model keeps threads or open files: each process loads its own")
        answer.write(NOT_SHAREABLE)
        os.killpg(0, signal.SIGKILL)
    # The starter or a model may have set it to be ignored; then no exit code could be read.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    except BaseException:  # noqa: BLE001 - `end` kills this process before Python prints
        traceback.print_exc()
    finally:
        supervisor.end()


def load_shareable(specs: Sequence[ModelSpec]) -> bool:
    """Load the models; return whether forks of this process may use them.

    Threads are a problem because a fork has only the thread that called it: a lock that another
    thread holds would stay locked for ever. Open files are a problem because processes that share a
    socket or a pipe read each other's data, and those that share a file move each other's position.

    A model that fails to load is skipped here. The first slice for it reports the error.
    """
    before = procfs.open_files()
    signal.alarm(LOAD_SECONDS)  # kills this process if a model hangs
    for spec in specs:
        with suppress(TidemillError):
            host.load(spec)
    signal.alarm(0)
    # A library that looks up a package's version leaves each archive in sys.path open, such as
    # pyspark.zip. This closes them.
    MetadataPathFinder().invalidate_caches()
    # The garbage collector writes to every object it visits, which would unshare the memory.
    gc.collect()
    gc.freeze()
    return not procfs.has_threads() and procfs.open_files() <= before


if __name__ == "__main__":
    main()
