"""Fork the pool's processes, and replace those that end or hang."""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tidemill.models import host
from tidemill.models.isolation import child
from tidemill.models.pool.loading import QUIET_S, Wishes, load_wishes
from tidemill.models.pool.member import Member
from tidemill.models.pool.state import NO_DEADLINE, TIMED_OUT

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.models.pool.state import SharedState

# The standard library's default prints warnings to standard error, and survives if nobody reads it.
log = logging.getLogger(__name__)

# Seconds between two checks of the deadlines.
TICK_S = 0.25
# A server that took some time to load models waits so many times as long until it hands over.
PAUSE_PER_LOAD = 10


class Supervisor:
    """Keep a number of processes running.

    If processes wish to share models that they loaded, a fork of the server loads these models too.
    Then it becomes the server, with processes of its own, and the others end as soon as they are
    idle. Until then, nothing depends on the fork: it may hang or crash.
    """

    def __init__(
        self,
        listener: socket.socket,
        specs: Sequence[ModelSpec],
        state: SharedState,
        *,
        quiet: float = QUIET_S,
        predecessor: int = 0,
    ) -> None:
        """Take the listening socket, which all processes share.

        `quiet` is the time without new wishes after which they are granted, and `predecessor` the
        server before this one, which ends after the last of its processes.
        """
        self._listener = listener
        self._socket_path = Path(listener.getsockname())
        self._specs = specs
        self._state = state
        self._quiet = quiet
        self._wishes = Wishes(state.models, quiet)
        self._poller = select.poll()
        self._retired = os.eventfd(0)  # readable once the processes are to end
        self._predecessor = predecessor
        self._successor: tuple[int, int] | None = None  # pidfd, pid
        self._members: dict[int, tuple[int, int]] = {}  # pidfd: pid, number
        self._timed_out: set[int] = set()

    def serve(self, owner_fd: int) -> NoReturn:
        """Keep the processes running until the owner ends; then end with all of them."""
        try:
            if self._run(owner_fd):
                shutil.rmtree(self._socket_path.parent, ignore_errors=True)
        except BaseException:  # noqa: BLE001 - Python would print it after the end
            traceback.print_exc()
        finally:
            self._end()

    def _run(self, owner_fd: int) -> bool:
        """Fork the processes, and replace them; return whether the owner has ended."""
        socket_file = self._socket_path.stat()
        self._state.models.add(self._state.server_number, host.models.take_usage())
        self._poller.register(owner_fd, select.POLLIN)
        for number in self._state.numbers:
            self._fork(number)
        self._state.lead()
        while True:
            for ended, _ in self._poller.poll(1000 * TICK_S):
                if ended == owner_fd:
                    return True
                self._reap(ended)
            self._kill_overdue()
            if not self._state.is_led:
                self._retire()
            elif self._may_hand_over() and self._wishes.are_due():
                self._hand_over(owner_fd)
            if not _is_same(self._socket_path, socket_file):
                return False  # no client can find this pool any more

    def _end(self) -> NoReturn:
        """Kill all processes, with the helpers that models forked, and this one."""
        for pid, _ in self._members.values():
            _kill_group(pid)
        os.killpg(0, signal.SIGKILL)
        os._exit(os.EX_OK)  # not reached

    def _fork(self, number: int) -> None:
        self._state.set_deadline(number, NO_DEADLINE)
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._run_member(number, parent)
        pidfd = os.pidfd_open(pid)
        self._members[pidfd] = pid, number
        self._poller.register(pidfd, select.POLLIN)

    def _run_member(self, number: int, parent: int) -> NoReturn:
        try:
            child.die_with_parent(parent)
            os.setpgid(0, 0)  # a group with the helpers that a model forks
            with suppress(OSError):  # if memory is short, the kernel should end this process first
                Path("/proc/self/oom_score_adj").write_text("1000")
            Member(number, self._state, self._specs).serve(self._listener, self._retired)
        except BaseException:  # noqa: BLE001 - it must not go on as a second server
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):  # a model may have closed it
                    stream.flush()
            os._exit(os.EX_OK)

    def _reap(self, pidfd: int) -> None:
        """Note how a process ended, and replace it unless another server has taken over."""
        self._poller.unregister(pidfd)
        os.close(pidfd)
        if self._successor and pidfd == self._successor[0]:
            os.waitpid(self._successor[1], 0)
            self._successor = None
            self._quiet *= 2
            self._wishes = Wishes(
                self._state.models, self._quiet
            )  # without the model that it refused
            return
        pid, number = self._members.pop(pidfd)
        _kill_group(pid)  # helpers that the model forked
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if pid in self._timed_out:
            self._timed_out.remove(pid)
            code = TIMED_OUT
        self._state.add_exit(pid, code)
        if self._state.is_led:
            log.warning("model process %d ended with code %d; another one replaces it", pid, code)
            self._fork(number)

    def _kill_overdue(self) -> None:
        for pid, number in self._members.values():
            if self._state.is_overdue(number, time.monotonic()):
                self._timed_out.add(pid)
                os.kill(pid, signal.SIGKILL)

    def _may_hand_over(self) -> bool:
        """Return whether no other server is there: none that retires, none that loads models."""
        return self._successor is None and os.getppid() != self._predecessor

    def _hand_over(self, owner_fd: int) -> None:
        """Fork the next server."""
        server = os.getpid()
        pid = os.fork()
        if not pid:
            self._succeed(server, owner_fd)
        pidfd = os.pidfd_open(pid)
        self._successor = pidfd, pid
        self._poller.register(pidfd, select.POLLIN)

    def _succeed(self, server: int, owner_fd: int) -> NoReturn:
        """Load the models that processes wish to share, and become the server."""
        start = time.monotonic()
        try:
            child.die_with_parent(server)
            for fd in (self._retired, *self._members):
                os.close(fd)
            if load_wishes(self._specs, self._state.models):
                child.outlive_parent()
                self._state.succeed()
                # If more models are in use than there is room for, wishes never end.
                quiet = max(QUIET_S, PAUSE_PER_LOAD * (time.monotonic() - start))
                Supervisor(
                    self._listener, self._specs, self._state, quiet=quiet, predecessor=server
                ).serve(owner_fd)
        except BaseException:  # noqa: BLE001 - it must not go on as a second server
            traceback.print_exc()
        finally:
            os._exit(os.EX_OK)

    def _retire(self) -> None:
        """Have the processes end, as another server has taken over; end after the last one."""
        os.eventfd_write(self._retired, 1)
        if not self._members:
            os._exit(os.EX_OK)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _is_same(path: Path, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), file)
    except OSError:
        return False
