"""Inspect processes through /proc, above all this one, to decide whether it can fork safely."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
SELF = PROC / "self"
STATELESS = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}


def exists(pid: int) -> bool:
    """Return whether there is a process with this id, also one that has ended unnoticed."""
    return (PROC / str(pid)).exists()


def pid_namespace() -> int:
    """Return the number of this process's pid namespace: containers that share files have others.

    Raises:
        OSError: There is no /proc.

    """
    return (SELF / "ns" / "pid").stat().st_ino


def has_threads() -> bool:
    """Return whether this process has more than one thread; True without /proc.

    A fork copies only the calling thread, and any lock that another one holds stays locked.
    """
    try:
        return len(_threads()) > 1
    except OSError:
        return True


def open_files() -> set[tuple[int, str]]:
    """Return what this process has open: file descriptors, and what each refers to.

    Leave out devices that have no position and no state.
    """
    opened = set()
    for file in (SELF / "fd").iterdir():
        with suppress(OSError):  # the descriptor of the listing itself
            opened.add((int(file.name), str(file.readlink())))
    return {(number, name) for number, name in opened if name not in STATELESS}


def resources() -> set[tuple[int, str]]:
    """Return what a fork of this process could not use: open files, and threads by their ids."""
    return open_files() | {(thread, "thread") for thread in _threads()}


def _threads() -> list[int]:
    return [int(task.name) for task in (SELF / "task").iterdir()]


def anonymous_bytes() -> int:
    """Return the bytes of memory that this process has allocated, swapped out or not.

    Files that it maps do not count, because the kernel can read them again. 0 without /proc.
    """
    try:
        lines = (SELF / "smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0
    kib = (line.split() for line in lines if line.startswith(("Anonymous:", "Swap:")))
    return 1024 * sum(int(number) for _, number, _ in kib)
