"""Fork the pool's processes, and replace those that end or hang."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tidemill.models.isolation import child
from tidemill.models.pool.member import Member
from tidemill.models.pool.state import NO_DEADLINE, TIMED_OUT, SharedState

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

# Seconds between two checks of the deadlines.
TICK_S = 0.25


class Supervisor:
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
