"""Memory that the server and its processes share: deadlines, and how processes ended."""

from __future__ import annotations

import ctypes
import mmap

NO_DEADLINE = 0.0
# Beside exit codes (0 to 255) and signals (negative): the server killed it at its deadline.
TIMED_OUT = 256
# How many ends are remembered: until a client asks about one, many other processes may end.
ENDS = 4096


class Board:
    """Shared by all forks of the process that made it; each field has one writer."""

    def __init__(self, processes: int) -> None:
        """Make a board for a number of processes, which are numbered from 0."""
        self.processes = processes
        memory = mmap.mmap(-1, 8 * (processes + 2 * ENDS))  # anonymous: needs no file
        self._deadlines = (ctypes.c_double * processes).from_buffer(memory)
        self._pids = (ctypes.c_int64 * ENDS).from_buffer(memory, 8 * processes)
        self._codes = (ctypes.c_int64 * ENDS).from_buffer(memory, 8 * (processes + ENDS))
        self._count = 0

    def set_deadline(self, number: int, at: float) -> None:
        """Set the time of `time.monotonic` when a process is to be killed."""
        self._deadlines[number] = at

    def is_overdue(self, number: int, now: float) -> bool:
        """Return whether a process has missed its deadline."""
        deadline: float = self._deadlines[number]
        return NO_DEADLINE < deadline < now

    def note_end(self, pid: int, code: int) -> None:
        """Note how a process ended, unless it is noted already."""
        if self.code_of(pid) != TIMED_OUT:
            place = self._count % ENDS
            self._count += 1
            self._codes[place] = code
            self._pids[place] = pid

    def code_of(self, pid: int) -> int | None:
        """Return how a process ended: exit code, minus signal, or TIMED_OUT; None if unknown."""
        return dict(zip(self._pids, self._codes, strict=True)).get(pid)
