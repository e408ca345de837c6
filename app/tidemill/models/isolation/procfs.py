"""Inspect processes through /proc, above all this one, to decide whether it can fork safely."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
SELF = PROC / "self"
STANDARD_ERROR = 2


def exists(pid: int) -> bool:
    """Return whether there is a process with this id, also one that has ended unnoticed."""
    return (PROC / str(pid)).exists()


def pid_namespace() -> int:
    """Return the number of the namespace in which the ids of processes are unique.

    Raises:
        OSError: There is no /proc.

    """
    return (SELF / "ns/pid").stat().st_ino


def has_threads() -> bool:
    """Return whether this process has more than one thread; True without /proc.

    A fork copies only the calling thread, and any lock that another one holds stays locked.
    """
    try:
        return len(list((SELF / "task").iterdir())) > 1
    except OSError:
        return True


def socket_fds() -> list[int]:
    """Return the file descriptors of this process that are sockets; a fork inherits them.

    The standard streams do not count: a service manager may connect them to its log by a socket.
    """
    files = [file for file in (SELF / "fd").iterdir() if file.is_symlink()]
    sockets = [int(file.name) for file in files if str(file.readlink()).startswith("socket:")]
    return [number for number in sockets if number > STANDARD_ERROR]
