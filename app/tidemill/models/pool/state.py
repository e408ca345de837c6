"""Memory that the server and its processes share: deadlines, and how processes ended."""

from __future__ import annotations

import ctypes
import mmap
import os

NO_DEADLINE = 0.0
# Beside exit codes (0 to 255) and signals (negative): the server killed it at its deadline.
TIMED_OUT = 256
# The exit code of a process that ends itself because the model raised a MemoryError.
OUT_OF_MEMORY = os.EX_OSERR
# How many exit codes are remembered: many other processes may end until a client can ask.
EXITS = 4096


class SharedState:
    """Shared by all forks of the process that made it; each field has one writer."""

    def __init__(self, processes: int) -> None:
        """Make the state of a number of processes, which are numbered from 0."""
        self.processes = processes
        memory = mmap.mmap(-1, 8 * (processes + 2 * EXITS))  # anonymous: needs no file
        self._deadlines = (ctypes.c_double * processes).from_buffer(memory)
        self._pids = (ctypes.c_int64 * EXITS).from_buffer(memory, 8 * processes)
        self._codes = (ctypes.c_int64 * EXITS).from_buffer(memory, 8 * (processes + EXITS))
        self._count = 0

    def set_deadline(self, number: int, deadline: float) -> None:
        """Set the time of `time.monotonic` at which the server kills a process."""
        self._deadlines[number] = deadline

    def is_overdue(self, number: int, now: float) -> bool:
        """Return whether a process has missed its deadline."""
        deadline: float = self._deadlines[number]
        return NO_DEADLINE < deadline < now

    def add_exit(self, pid: int, code: int) -> None:
        """Remember how a process ended; forget the oldest exit."""
        place = self._count % EXITS
        self._count += 1
        self._codes[place] = code
        self._pids[place] = pid

    def exit_code(self, pid: int) -> int | None:
        """Return how a process ended: exit code, minus signal, or TIMED_OUT; None if unknown."""
        return dict(zip(self._pids, self._codes, strict=True)).get(pid)
