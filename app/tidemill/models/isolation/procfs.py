"""What proc(5) tells a process of itself, which matters to its forks."""

from __future__ import annotations

from pathlib import Path

SELF = Path("/proc/self")


def has_threads() -> bool:
    """Tell whether this process has more than one thread; also where nothing tells (no Linux).

    Another thread stops in a fork, whatever lock it holds, as CUDA's do.
    """
    try:
        return len(list((SELF / "task").iterdir())) > 1
    except OSError:
        return True


def sockets() -> list[int]:
    """Return the files of this process that are sockets; a fork has them too."""
    files = [file for file in (SELF / "fd").iterdir() if file.is_symlink()]
    return [int(file.name) for file in files if str(file.readlink()).startswith("socket:")]
