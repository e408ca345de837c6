"""Memory that the pool's processes share: deadlines, how processes ended, what models take."""

from __future__ import annotations

import ctypes
import mmap
import os
import time
from typing import TYPE_CHECKING

from tidemill.models.pool.model_table import ModelTable

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_DEADLINE = 0.0
# Beside exit codes (0 to 255) and signals (negative): the server killed it at its deadline.
TIMED_OUT = 256
# The exit code of a process that ends itself because the model raised a MemoryError.
OUT_OF_MEMORY = os.EX_OSERR
# How many exit codes a server remembers: many other processes may end until a client can ask.
EXITS = 4096


class SharedState:
    """Shared by all forks of the process that made it; each field has one writer.

    If a server hands over to another one, the processes of both run at the same time for a while.
    So each server uses other numbers for its processes than the server before it, and other places
    for their exit codes.
    """

    def __init__(self, processes: int, models: Sequence[str] = ()) -> None:
        """Make the state of a number of processes, and of models with these ids."""
        # Identifies the pool, also if it gets another server; a later pool has a greater one.
        self.pool = f"{time.time_ns():x}-{os.getpid()}"
        self.processes = processes
        # Two servers' processes, and the servers themselves.
        self.models = ModelTable(models, 2 * processes + 1)
        memory = mmap.mmap(-1, 8 * (1 + 2 * processes + 4 * EXITS))  # anonymous: needs no file
        self._leader = ctypes.c_int64.from_buffer(memory)
        self._deadlines = (ctypes.c_double * (2 * processes)).from_buffer(memory, 8)
        exits = 8 * (1 + 2 * processes)
        self._pids = (ctypes.c_int64 * (2 * EXITS)).from_buffer(memory, exits)
        self._codes = (ctypes.c_int64 * (2 * EXITS)).from_buffer(memory, exits + 16 * EXITS)
        self._exits = 0
        self._is_second = False

    @property
    def numbers(self) -> range:
        """The numbers of this server's processes."""
        return self._half(second=self._is_second)

    @property
    def other_numbers(self) -> range:
        """The numbers of the processes of the server before or after this one."""
        return self._half(second=not self._is_second)

    @property
    def server_number(self) -> int:
        """The server's own number in `models`."""
        return 2 * self.processes

    @property
    def is_led(self) -> bool:
        """Whether this process is the server that forks new processes."""
        return self._leader.value == os.getpid()

    def succeed(self) -> None:
        """Use the other half of the numbers from now on, in a process that will be the server."""
        self._is_second = not self._is_second

    def lead(self) -> None:
        """Make this process the server."""
        self._leader.value = os.getpid()

    def _half(self, *, second: bool) -> range:
        first = self.processes if second else 0
        return range(first, first + self.processes)

    def set_deadline(self, number: int, deadline: float) -> None:
        """Set the time of `time.monotonic` at which the server kills a process."""
        self._deadlines[number] = deadline

    def is_overdue(self, number: int, now: float) -> bool:
        """Return whether a process has missed its deadline."""
        deadline: float = self._deadlines[number]
        return NO_DEADLINE < deadline < now

    def add_exit(self, pid: int, code: int) -> None:
        """Remember how a process ended; forget the oldest exit."""
        place = self._exits % EXITS + (EXITS if self._is_second else 0)
        self._exits += 1
        self._codes[place] = code
        self._pids[place] = pid

    def exit_code(self, pid: int) -> int | None:
        """Return how a process ended: exit code, minus signal, or TIMED_OUT; None if unknown."""
        return dict(zip(self._pids, self._codes, strict=True)).get(pid)
