"""Find out whether forks of a process may use a model that it loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tidemill.models.isolation import child, procfs
from tidemill.models.pool.launch import NO_BACKGROUND_THREADS, THREAD_VARIABLES


def report(path: str, options: dict[str, Any]) -> list[str]:
    """Load a model in a new process with the environment of a pool's server, and fork that.

    Return what loading left behind, whether the fork predicts the same, and what that left behind.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import main; main()", path, json.dumps(options)],
        env=dict.fromkeys(THREAD_VARIABLES, "1") | NO_BACKGROUND_THREADS | os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def main() -> None:
    """Run in the new process; a lock that a lost thread held would hang its fork."""
    before = procfs.open_files()
    model = child.construct(sys.argv[1], json.loads(sys.argv[2]))
    print_threads()
    files = procfs.open_files() - before
    print(files or "no files", flush=True)  # noqa: T201 - the parent reads it
    expected = model.predict_all([model.sample])
    if not (pid := os.fork()):
        os._exit(model.predict_all([model.sample]) != expected)
    status = os.waitpid(pid, 0)[1]
    print("other outputs" if status else "the same outputs", flush=True)  # noqa: T201 - the same
    print_threads()


def print_threads() -> None:
    """Print whether this process has other threads."""
    print("threads" if procfs.has_threads() else "no threads", flush=True)  # noqa: T201 - the same
