"""Memory that the server and its processes share: deadlines, and how processes ended."""

from __future__ import annotations

import ctypes
import mmap

NO_DEADLINE = 0.0
# Beside exit codes (0 to 255) and signals (negative): the server killed it at its deadline.
TIMED_OUT = 256
# How many exit codes are remembered, at least.
MIN_EXITS = 32


class SharedState:
    """Shared by all forks of the process that made it; each field has one writer."""

    def __init__(self, processes: int) -> None:
        """Make the state of a number of processes, which are numbered from 0."""
        self.processes = processes
        exits = max(MIN_EXITS, 2 * processes)
        memory = mmap.mmap(-1, 8 * (processes + 2 * exits))  # anonymous: needs no file
        self._deadlines = (ctypes.c_double * processes).from_buffer(memory)
        self._pids = (ctypes.c_int64 * exits).from_buffer(memory, 8 * processes)
        self._codes = (ctypes.c_int64 * exits).from_buffer(memory, 8 * (processes + exits))
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
        place = self._count % len(self._pids)
        self._count += 1
        self._codes[place] = code
        self._pids[place] = pid

    def exits(self) -> list[tuple[int, int]]:
        """Return the processes that ended last, and how: exit code, minus signal, or TIMED_OUT."""
        return [(pid, code) for pid, code in zip(self._pids, self._codes, strict=True) if pid]
