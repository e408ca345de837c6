"""Load the models, fork the pool's processes, and replace those that end or hang.

    python -m tidemill.models.pool.server FOLDER OWNER PROCESSES shared|separate STARTER

The entries come pickled through standard input, from the process with the id STARTER. A byte on
standard output says that clients can connect to FOLDER/socket. Until then, this process ends with
STARTER; after that, all processes of the pool end with OWNER.

There is no dispatcher: the processes accept connections from one listening socket, and the kernel
gives the next connection to one that waits. With `shared`, they are forked from the process that
loaded the models, and share its memory. That needs models that start no threads and open no
sockets; otherwise this program ends, and must be started with `separate`, so that each process
loads its own.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import select
import shutil
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tidemill.errors import TidemillError
from tidemill.models import host
from tidemill.models.isolation import child, procfs
from tidemill.models.pool.board import NO_DEADLINE, TIMED_OUT, Board
from tidemill.models.pool.member import Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

SOCKET = "socket"
# Seconds between two checks of the deadlines.
TICK_S = 0.25


def main() -> None:
    """Run the server until its owner ends."""
    folder, owner, processes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    child.die_with_parent(int(sys.argv[5]))
    specs = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    try:
        owner_fd = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    ready = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a model may print
    if sys.argv[4] == "shared" and not load_shareable(specs):
        log.warning("a model starts threads or opens sockets: each process loads its own")
        os._exit(os.EX_UNAVAILABLE)  # without waiting for the model's threads
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a model may have ignored it
    listener = socket.socket(socket.AF_UNIX)
    (folder / SOCKET).unlink(missing_ok=True)
    listener.bind(os.fspath(folder / SOCKET))
    listener.listen(socket.SOMAXCONN)
    child.outlive_parent()
    os.write(ready, b"1")
    os.close(ready)
    try:
        Server(listener, specs, processes).run(owner_fd)
    except BaseException:  # noqa: BLE001 - Python would print it after the end
        traceback.print_exc()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)  # also helpers that a model forked


def load_shareable(specs: Sequence[ModelSpec]) -> bool:
    """Load the models; return whether forks of this process may use them.

    A fork copies no other thread, and a lock that one holds stays locked. Two processes that share
    a socket get each other's responses. A model that does not load is skipped here: the first
    slice for it reports why.
    """
    for spec in specs:
        with suppress(TidemillError):
            host.load(spec)
    # The garbage collector writes to every object, which would copy the shared memory.
    gc.collect()
    gc.freeze()
    return not procfs.has_threads() and not procfs.socket_fds()


class Server:
    """Keep a number of processes running."""

    def __init__(self, listener: socket.socket, specs: Sequence[ModelSpec], processes: int) -> None:
        """Take the listening socket, which all processes share."""
        self._listener = listener
        self._specs = specs
        self._board = Board(processes)
        self._members: dict[int, tuple[int, int]] = {}  # pidfd: pid, number

    def run(self, owner_fd: int) -> None:
        """Fork the processes, and replace them, until the owner ends."""
        poller = select.poll()
        poller.register(owner_fd, select.POLLIN)
        for number in range(self._board.processes):
            poller.register(self._fork(number), select.POLLIN)
        while True:
            for ended, _ in poller.poll(1000 * TICK_S):
                if ended == owner_fd:
                    return
                poller.unregister(ended)
                poller.register(self._replace(ended), select.POLLIN)
            self._kill_overdue()

    def _fork(self, number: int) -> int:
        """Fork a process; return its pidfd."""
        self._board.set_deadline(number, NO_DEADLINE)
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._run_member(number, parent)
        pidfd = os.pidfd_open(pid)
        self._members[pidfd] = pid, number
        return pidfd

    def _run_member(self, number: int, parent: int) -> NoReturn:
        try:
            child.die_with_parent(parent)
            Member(number, self._board, self._specs).serve(self._listener)
        except BaseException:  # noqa: BLE001 - it must not go on as a second server
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):  # a model may have closed it
                    stream.flush()
            os._exit(os.EX_OK)

    def _replace(self, pidfd: int) -> int:
        """Note how a process ended, and fork another one; return its pidfd."""
        pid, number = self._members.pop(pidfd)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._board.note_end(pid, code)
        log.warning("model process %d ended with code %d; another one replaces it", pid, code)
        return self._fork(number)

    def _kill_overdue(self) -> None:
        for pid, number in self._members.values():
            if self._board.is_overdue(number, time.monotonic()):
                self._board.note_end(pid, TIMED_OUT)
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
