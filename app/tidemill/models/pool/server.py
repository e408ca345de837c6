"""Load the models, fork the pool's processes, and replace those that end or hang.

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
from tidemill.models.pool.member import LOAD_SECONDS, Member
from tidemill.models.pool.state import NO_DEADLINE, TIMED_OUT, SharedState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

SOCKET = "socket"
# The answers to the process that starts the server.
READY, NOT_SHAREABLE = b"1", b"0"
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
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the starter may ignore it
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.register_at_fork(
        after_in_child=answer.close
    )  # or a model's helper keeps the starter waiting
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a model may print
    if sys.argv[4] == "shared" and not load_shareable(specs):
        log.warning("a model keeps threads or open files: each process loads its own")
        answer.write(NOT_SHAREABLE)
        os.killpg(0, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or a model may ignore it
    listener = socket.socket(socket.AF_UNIX)
    (folder / SOCKET).unlink(missing_ok=True)
    listener.bind(os.fspath(folder / SOCKET))
    listener.listen(socket.SOMAXCONN)
    child.outlive_parent()
    answer.write(READY)
    answer.close()
    server = Server(listener, specs, processes)
    try:
        if server.run(owner_fd):
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:  # noqa: BLE001 - Python would print it after the end
        traceback.print_exc()
    finally:
        server.end()


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
    # The garbage collector writes to every object, which would copy the shared memory.
    gc.collect()
    gc.freeze()
    return not procfs.has_threads() and procfs.open_files() <= before


class Server:
    """Keep a number of processes running."""

    def __init__(self, listener: socket.socket, specs: Sequence[ModelSpec], processes: int) -> None:
        """Take the listening socket, which all processes share."""
        self._listener = listener
        self._socket_path = Path(listener.getsockname())
        self._specs = specs
        self._state = SharedState(processes)
        self._members: dict[int, tuple[int, int]] = {}  # pidfd: pid, number
        self._timed_out: set[int] = set()

    def run(self, owner_fd: int) -> bool:
        """Fork the processes, and replace them; return whether the owner has ended."""
        socket_file = self._socket_path.stat()
        poller = select.poll()
        poller.register(owner_fd, select.POLLIN)
        for number in range(self._state.processes):
            poller.register(self._fork(number), select.POLLIN)
        while True:
            for ended, _ in poller.poll(1000 * TICK_S):
                if ended == owner_fd:
                    return True
                poller.unregister(ended)
                poller.register(self._replace(ended), select.POLLIN)
            self._kill_overdue()
            if not _is_same(self._socket_path, socket_file):
                return False  # no client can find this pool any more

    def end(self) -> None:
        """Kill all processes, with the helpers that models forked, and this one."""
        for pid, _ in self._members.values():
            _kill_group(pid)
        os.killpg(0, signal.SIGKILL)

    def _fork(self, number: int) -> int:
        """Fork a process; return its pidfd."""
        self._state.set_deadline(number, NO_DEADLINE)
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
            os.setpgid(0, 0)  # a group with the helpers that a model forks
            with suppress(OSError):  # if memory is short, the kernel should end this process first
                Path("/proc/self/oom_score_adj").write_text("1000")
            Member(number, self._state, self._specs).serve(self._listener)
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
        _kill_group(pid)  # helpers that the model forked
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if pid in self._timed_out:
            self._timed_out.remove(pid)
            code = TIMED_OUT
        self._state.add_exit(pid, code)
        log.warning("model process %d ended with code %d; another one replaces it", pid, code)
        return self._fork(number)

    def _kill_overdue(self) -> None:
        for pid, number in self._members.values():
            if self._state.is_overdue(number, time.monotonic()):
                self._timed_out.add(pid)
                os.kill(pid, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _is_same(path: Path, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), file)
    except OSError:
        return False


if __name__ == "__main__":
    main()
