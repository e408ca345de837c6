"""Load the models, and keep the pool's processes running until the owner ends.

    python -m tidemill.models.pool.server FOLDER OWNER PROCESSES shared|separate STARTER

The entries come pickled through standard input, from the process with the id STARTER, with those
that are to be loaded at the start, and the bytes of memory that all of them may take. A byte on
standard output answers whether clients can connect to FOLDER/socket. Until then, this process ends
with STARTER; after that, all processes of the pool end with OWNER.

There is no dispatcher: the processes accept connections from one listening socket, and one that
waits gets the next connection. With `shared`, they are forked from the process that loaded the
models, and share its memory. That needs models that keep no threads and no open files; otherwise
this program ends, and must be started with `separate`, so that it loads none at the start.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
from pathlib import Path

from tidemill.models import host
from tidemill.models.isolation import child
from tidemill.models.pool.loading import load_shareable
from tidemill.models.pool.state import SharedState
from tidemill.models.pool.supervisor import Supervisor

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

SOCKET = "socket"
# The answers to the process that starts the server.
READY, NOT_SHAREABLE = b"1", b"0"


def main() -> None:
    """Run the server until its owner ends."""
    folder, owner, processes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    child.die_with_parent(int(sys.argv[5]))
    # From the process that started this one.
    specs, preloaded, host.models.limit = pickle.load(sys.stdin.buffer)  # noqa: S301
    try:
        owner_fd = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    # Otherwise a helper that a model forks would keep the starter waiting.
    os.register_at_fork(after_in_child=answer.close)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a model may print
    if sys.argv[4] == "shared" and not load_shareable(preloaded):
        log.warning("a model keeps threads or open files: each process loads its own")
        answer.write(NOT_SHAREABLE)
        os.killpg(0, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the starter or a model may ignore it
    listener = socket.socket(socket.AF_UNIX)
    (folder / SOCKET).unlink(missing_ok=True)
    listener.bind(os.fspath(folder / SOCKET))
    listener.listen(socket.SOMAXCONN)
    listener.setblocking(False)  # noqa: FBT003
    child.outlive_parent()
    answer.write(READY)
    answer.close()
    state = SharedState(processes, [spec.id for spec in specs])
    Supervisor(listener, specs, state).serve(owner_fd)


if __name__ == "__main__":
    main()
