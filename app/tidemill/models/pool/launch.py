"""Launch the server of a pool in a process of its own, and wait until clients can connect."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, TypeAlias

from tidemill.models.pool import server

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill.inference.model import ModelSpec

# The entries, those whose models are loaded at the start, and the bytes that all models may take.
Models: TypeAlias = "tuple[tuple[ModelSpec, ...], tuple[ModelSpec, ...], float]"

# The number of threads of numeric libraries is in these variables. A process of the pool has one,
# unless its environment says otherwise.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# Keep Arrow's allocator and ONNX Runtime's telemetry from starting threads. In a single-threaded
# process C++ counts references without atomic operations, which take a sixth of spaCy's time; and
# only such a process forks safely.
NO_BACKGROUND_THREADS = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ORT_DISABLE_TELEMETRY": "1",
}

# The servers that this process has launched, so that it collects the exit codes of those that end.
_servers: list[subprocess.Popen[bytes]] = []


@atexit.register
def _forget() -> None:
    """Forget the servers, which end after this process: Python would warn that they still run."""
    for each in _servers:
        each.returncode = each.poll() or 0


def launch(folder: Path, models: Models, processes: int, owner: int) -> None:
    """Launch a server; if its processes cannot share the models, it loads none at the start.

    Raises:
        OSError: The server ended.

    """
    for mode in ("shared", "separate"):
        arguments = [os.fspath(folder), str(owner), str(processes), mode, str(os.getpid())]
        if _launch(arguments, models) == server.READY:
            return
    raise OSError("the pool's server ended at its start")


def _launch(arguments: list[str], models: Models) -> bytes:
    """Return the server's answer; nothing if a model ended it.

    Raises:
        OSError: The server was killed, most likely for lack of memory.

    """
    environment = dict.fromkeys(THREAD_VARIABLES, "1") | NO_BACKGROUND_THREADS | os.environ
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as entries, os.fdopen(reader, "rb") as answers:
        pickle.dump(models, entries)
        entries.seek(0)
        with os.fdopen(writer, "wb") as stdout:
            process = subprocess.Popen(
                [sys.executable, "-m", server.__name__, *arguments],
                env=environment,
                stdin=entries,
                stdout=stdout,
                start_new_session=True,  # Ctrl-C must not end it before its clients
            )
        answer = b""
        try:
            answer = answers.read(1)
            if not answer:  # it is about to end; its exit code must be its own
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:  # also after Ctrl-C
            if answer != server.READY:
                os.killpg(process.pid, signal.SIGKILL)  # with helpers of its models
                process.wait()
    if not answer and process.returncode == -signal.SIGKILL:
        raise OSError("the pool's server was killed while it loaded the models")
    if answer == server.READY:
        _servers[:] = [each for each in _servers if each.poll() is None] + [process]
    return answer
