"""Find the pool of a process, or start it: the first task does, and the others wait for it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pickle
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.models.isolation import procfs
from tidemill.models.pool import server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec

# In bytes: the path of a socket has at most 107, of which ours takes 65.
MAX_TEMP_DIR = 40

# The number of threads of numeric libraries is in these variables. A process of the pool has one,
# unless its environment says otherwise.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Keep Arrow's allocator from starting a thread. In a single-threaded process C++ counts references
# without atomic operations, which take a sixth of spaCy's time; and only such a process forks
# safely.
SINGLE_THREADED_ARROW = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}

# The servers that this process has started, so that it collects the exit codes of those that end.
_servers: list[subprocess.Popen[bytes]] = []


class PoolAddress:
    """Where a pool listens: in a folder that only this user can read.

    A pool belongs to an owner, a process that outlives its clients, and to the entries that it
    serves. All clients with the same ones find the same pool.
    """

    def __init__(self, specs: Sequence[ModelSpec], processes: int, owner: int) -> None:
        """Take the entries, the number of processes, and the owner's process id."""
        self._specs = tuple(specs)
        self._processes = processes
        self._owner = owner
        digest = hashlib.sha256(repr((self._specs, processes)).encode()).hexdigest()
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
                if (
                    self._start("shared") != server.READY
                    and self._start("separate") != server.READY
                ):
                    raise OSError("the pool's server ended at its start") from None

    def _start(self, mode: str) -> bytes:
        """Start a server; return its answer, nothing if a model ended it.

        Raises:
            OSError: It was killed, most likely for lack of memory.

        """
        numbers = [str(self._owner), str(self._processes)]
        arguments = [os.fspath(self._folder), *numbers, mode, str(os.getpid())]
        environment = dict.fromkeys(THREAD_VARIABLES, "1") | SINGLE_THREADED_ARROW | os.environ
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        ready, signal_ready = os.pipe()
        with tempfile.TemporaryFile() as specs, os.fdopen(ready, "rb") as answers:
            pickle.dump(self._specs, specs)
            specs.seek(0)
            with os.fdopen(signal_ready, "wb") as stdout:
                server_process = subprocess.Popen(
                    [sys.executable, "-m", server.__name__, *arguments],
                    env=environment,
                    stdin=specs,
                    stdout=stdout,
                    start_new_session=True,  # Ctrl-C must not end it before its clients
                )
            answer = b""
            try:
                answer = answers.read(1)
                if not answer:  # it is about to end; its exit code must be its own
                    os.waitid(os.P_PID, server_process.pid, os.WEXITED | os.WNOWAIT)
            finally:  # also after Ctrl-C
                if answer != server.READY:
                    os.killpg(server_process.pid, signal.SIGKILL)  # with helpers of its models
                    server_process.wait()
        if answer != server.READY:
            if not answer and server_process.returncode == -signal.SIGKILL:
                raise OSError("the pool's server was killed while it loaded the models")
            return answer
        _servers[:] = [each for each in _servers if each.poll() is None] + [server_process]
        return answer


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
