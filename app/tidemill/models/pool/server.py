"""Load the models, and keep the pool's processes running until the owner ends.

    python -m tidemill.models.pool.server FOLDER OWNER PROCESSES shared|separate STARTER

FOLDER is where the socket goes. OWNER and STARTER are process ids. The starter sends the pickled
entries to standard input, with those that are to be loaded at the start, and the bytes of memory
that all models may take. The server answers with one byte on standard output: READY if clients can
connect to FOLDER/socket, or NOT_SHAREABLE. If the starter ends before the answer, the server ends
too. After the answer, the whole pool ends when the owner does.

There is no dispatcher. All processes accept connections from one listening socket, and the kernel
gives each new connection to a process that is waiting.

With `shared`, this process loads the models and forks the others, which share its memory. This
works only if the models keep no threads and no open files. If they do, the server answers
NOT_SHAREABLE and ends; the starter then starts it with `separate`, so that it loads none at the
start.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
import tempfile
from pathlib import Path

from tidemill.models import host
from tidemill.models.isolation import child
from tidemill.models.pool.loading import load_shareable
from tidemill.models.pool.state import SharedState
from tidemill.models.pool.supervisor import Supervisor, serve

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

SOCKET = "socket"
# The answers to the process that starts the server.
READY, NOT_SHAREABLE = b"1", b"0"


def main() -> None:
    """Run the server until its owner ends."""
    folder, owner, processes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    child.die_with_parent(int(sys.argv[5]))
    tempfile.tempdir = os.fspath(folder)  # which goes with the pool, however its processes end
    # From the process that started this one.
    specs, preloaded, host.models.limit = pickle.load(sys.stdin.buffer)  # noqa: S301
    try:
        owner_fd = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    # A helper that a model forks must not keep the answer open, or the starter would wait for it.
    os.register_at_fork(after_in_child=answer.close)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a model may print
    if sys.argv[4] == "shared" and not load_shareable(preloaded):
        log.warning("a model keeps threads or open files: each process loads its own")
        answer.write(NOT_SHAREABLE)
        os.killpg(0, signal.SIGKILL)
    # The starter or a model may have set it to be ignored; then no exit code could be read.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    listener = socket.socket(socket.AF_UNIX)
    (folder / SOCKET).unlink(missing_ok=True)
    listener.bind(os.fspath(folder / SOCKET))
    listener.listen(socket.SOMAXCONN)
    listener.setblocking(False)  # noqa: FBT003
    child.outlive_parent()
    answer.write(READY)
    answer.close()
    state = SharedState(processes, [spec.id for spec in specs])
    serve(Supervisor(listener, specs, state), owner_fd)


if __name__ == "__main__":
    main()
