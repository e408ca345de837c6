"""Find the pool of a process, or start it: the first task does, and the others wait for it."""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.models.isolation import procfs
from tidemill.models.pool import server
from tidemill.models.pool.launch import launch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec

# In bytes: the path of a socket has at most 107, of which ours takes 65.
MAX_TEMP_DIR = 40


class PoolAddress:
    """Where a pool listens: in a folder that only this user can read.

    A pool belongs to an owner, a process that outlives its clients, and to the entries that it
    serves. All clients with the same ones find the same pool.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        processes: int,
        owner: int,
        *,
        preloaded: Sequence[ModelSpec] | None = None,
        memory: float = math.inf,
    ) -> None:
        """Take the entries, the number of processes, and the owner's process id.

        `preloaded` are the entries whose models are loaded at the start, by default all; `memory`
        is the number of bytes that all models may take.
        """
        self._models = tuple(specs), tuple(specs if preloaded is None else preloaded), memory
        self._processes = processes
        self._owner = owner
        digest = hashlib.sha256(repr((self._models, processes)).encode()).hexdigest()
        self._folder = _root() / f"{procfs.pid_namespace()}-{owner}-{digest[:16]}"

    def connect(self) -> socket.socket:
        """Return a connection, which waits in the kernel until a process is free.

        Raises:
            OSError: There is no pool.

        """
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(os.fspath(self._folder / server.SOCKET))
        except OSError:
            connection.close()
            raise
        return connection

    def start(self) -> None:
        """Start the pool, unless another client has just done so.

        Raises:
            OSError: It cannot be started.

        """
        _remove_orphans(self._folder.parent)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self.connect().close()
            except OSError:
                launch(self._folder, self._models, self._processes, self._owner)


def _remove_orphans(root: Path) -> None:
    """Remove the folders of pools that were killed together with their owners."""
    for folder in root.glob(f"{procfs.pid_namespace()}-[0-9]*-*"):
        if not procfs.exists(int(folder.name.split("-")[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    """Return the folder of this user's pools.

    Raises:
        PermissionError: Another user owns it, or may write to it.

    """
    temporary = tempfile.gettempdir()
    if len(os.fsencode(temporary)) > MAX_TEMP_DIR:
        temporary = "/tmp"  # noqa: S108 - the folder's owner and mode are checked
    root = Path(temporary, f"tidemill-{os.getuid()}")
    root.mkdir(mode=0o700, exist_ok=True)
    status = root.lstat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(f"{root} must be a folder that only its owner can use")
    return root
