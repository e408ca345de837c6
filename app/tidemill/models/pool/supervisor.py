"""Be the pool's server, and hand over to a fork of it that has loaded more models."""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tidemill.models import host
from tidemill.models.isolation import child
from tidemill.models.pool.fork import exit_code, killed_first
from tidemill.models.pool.loading import QUIET_S, Wishes, load_wishes
from tidemill.models.pool.members import Members

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


def serve(supervisor: Supervisor, owner_fd: int) -> NoReturn:
    """Keep a pool running until its owner ends."""
    while True:  # once for each server; a loop, so that the stack of none holds its predecessors'
        supervisor = supervisor.run(owner_fd)


class Supervisor:
    """Keep a number of processes running.

    If processes wish to share models that they loaded, a fork of the server loads these models too.
    Then it becomes the server, with processes of its own, and the others end as soon as they are
    idle. Until the last of them has ended, the fork may hang or crash: the old server goes on.
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
        self._wishes = Wishes(state.models, quiet)
        self._poller = select.poll()
        self._members = Members(listener, specs, state, self._poller)
        self._predecessor = predecessor  # 0 once it has ended
        self._successor: tuple[int, int] | None = None  # pidfd, pid

    def run(self, owner_fd: int) -> Supervisor:
        """Keep the processes running until the owner ends; then end with all of them.

        Return only in a fork that is to be the next server.
        """
        is_pool_over = True
        try:
            if successor := self._run(owner_fd):
                return successor
        except BaseException:  # noqa: BLE001 - Python would print it after the end
            traceback.print_exc()
            is_pool_over = self._is_alone
        self._members.kill()
        if is_pool_over:
            os.killpg(0, signal.SIGKILL)  # with other servers, and helpers that models forked
        os._exit(os.EX_SOFTWARE)

    def _run(self, owner_fd: int) -> Supervisor | None:
        """Fork the processes, and replace them; return None if the pool is to end."""
        socket_file = self._socket_path.stat()
        self._poller.register(owner_fd, select.POLLIN)
        if not self._predecessor:
            self._count_models()
        self._members.fork_missing()
        self._state.lead()
        while _is_same(self._socket_path, socket_file):  # or no client can find this pool
            for ended, _ in self._poller.poll(1000 * TICK_S):
                if ended == owner_fd:
                    shutil.rmtree(self._socket_path.parent, ignore_errors=True)
                    return None
                self._reap(ended)
            self._members.kill_overdue()
            if self._predecessor and self._predecessor != os.getppid():
                self._predecessor = 0
                self._count_models()
            if self._state.is_led:
                self._members.fork_missing()
            elif self._members:
                self._members.retire()
            else:
                os._exit(os.EX_OK)
            if self._is_alone and self._wishes.are_due() and (successor := self._hand_over()):
                return successor
        return None

    def _reap(self, pidfd: int) -> None:
        self._poller.unregister(pidfd)
        os.close(pidfd)
        if self._successor and pidfd == self._successor[0]:
            self._go_on(self._successor[1])
        else:
            self._members.reap(pidfd)

    @property
    def _is_alone(self) -> bool:
        """Whether no other server is there: none that retires, none that loads models."""
        return not self._predecessor and not self._successor

    def _count_models(self) -> None:
        """Report what this server loaded, and that the processes of another one are gone.

        Not before it is alone: if a successor crashes, nobody must count its models.
        """
        for number in self._state.other_numbers:
            self._state.models.start(number)
        self._state.models.add(self._state.server_number, host.models.take_usage())

    def _hand_over(self) -> Supervisor | None:
        """Fork the next server; return its supervisor in the fork, and None here."""
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._wishes.postpone()
            log.warning("more models cannot be shared now: the server cannot fork: %s", error)
            return None
        if not pid:
            return self._succeed(server)
        pidfd = os.pidfd_open(pid)
        self._successor = pidfd, pid
        self._poller.register(pidfd, select.POLLIN)
        return None

    def _succeed(self, server: int) -> Supervisor:
        """Load the models that processes wish to share, and return the next server's supervisor."""
        self._predecessor = server  # which goes on if this process fails
        self._members.leave()
        start = time.monotonic()
        child.die_with_parent(server)
        with killed_first():
            if not load_wishes(self._specs, self._state.models):
                os._exit(os.EX_OK)
        child.outlive_parent()
        self._state.succeed()
        # If more models are in use than there is room for, wishes never end.
        quiet = max(QUIET_S, PAUSE_PER_LOAD * (time.monotonic() - start))
        return Supervisor(self._listener, self._specs, self._state, quiet=quiet, predecessor=server)

    def _go_on(self, successor: int) -> None:
        """Be the server after the next one has ended, even if it had taken over."""
        code = exit_code(successor)
        self._successor = None
        self._state.lead()
        self._members.go_on()
        self._count_models()
        refused = ", ".join(sorted(self._wishes.postpone())) or "none"
        log.warning(
            "the next server ended with code %d, so this one goes on; not to be shared: %s",
            code,
            refused,
        )


def _is_same(path: Path, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), file)
    except OSError:
        return False
