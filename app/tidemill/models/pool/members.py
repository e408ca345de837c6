"""Fork the processes of one server, and replace those that end or hang."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tidemill.models.pool.fork import exit_code, run_member
from tidemill.models.pool.member import Member
from tidemill.models.pool.state import NO_DEADLINE, TIMED_OUT

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.models.pool.state import SharedState

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)


class Members:
    """The processes of one server that answer slices."""

    def __init__(
        self,
        listener: socket.socket,
        specs: Sequence[ModelSpec],
        state: SharedState,
        poller: select.poll,
    ) -> None:
        """Take what tells the server that a process has ended."""
        self._listener = listener
        self._specs = specs
        self._state = state
        self._poller = poller
        self._retired = os.eventfd(0, os.EFD_NONBLOCK)  # readable once the processes are to end
        self._running: dict[int, tuple[int, int]] = {}  # pidfd: pid, number
        self._timed_out: set[int] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._running)

    def fork_missing(self) -> None:
        """Fork as many processes as there should be."""
        running = {number for _, number in self._running.values()}
        for number in self._state.numbers:
            if number not in running:
                self._fork(number)

    def reap(self, pidfd: int) -> None:
        """Note how a process ended."""
        pid, _ = self._running.pop(pidfd)
        kill_group(pid)  # helpers that the model forked
        code = exit_code(pid)
        if pid in self._timed_out:
            self._timed_out.remove(pid)
            code = TIMED_OUT
        self._state.add_exit(pid, code)
        if self._state.is_led:
            log.warning("model process %d ended with code %d; another one replaces it", pid, code)

    def kill_overdue(self) -> None:
        """Kill the processes that have missed their deadlines."""
        for pid, number in self._running.values():
            if self._state.is_overdue(number, time.monotonic()):
                self._timed_out.add(pid)
                os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill all processes."""
        for pid, _ in self._running.values():
            kill_group(pid)

    def retire(self) -> None:
        """Have each process end as soon as it is idle."""
        os.eventfd_write(self._retired, 1)

    def go_on(self) -> None:
        """Have the processes go on that have not ended yet."""
        with suppress(BlockingIOError):  # they were not to end
            os.eventfd_read(self._retired)

    def leave(self) -> None:
        """Forget the processes, in a fork of their server."""
        for fd in (self._retired, *self._running):
            os.close(fd)
        self._running.clear()

    def _fork(self, number: int) -> None:
        self._state.set_deadline(number, NO_DEADLINE)
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            run_member(parent, lambda: self._serve(number))
        pidfd = os.pidfd_open(pid)
        self._running[pidfd] = pid, number
        self._poller.register(pidfd, select.POLLIN)

    def _serve(self, number: int) -> None:
        Member(number, self._state, self._specs).serve(self._listener, self._retired)


def kill_group(pid: int) -> None:
    """Kill a process with the helpers that its model forked."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
