"""Run a Redis server (Debian's package) as a child process, which logs each command to a file."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, stop, wait_for_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = "redis-server"
START_S: Final = 180.0
STOP_S: Final = 60.0
READY: Final = "Ready to accept connections"


class Redis(NamedTuple):
    """A running server: the URL of its databases without their number, and its process id."""

    url: str
    pid: int


@contextmanager
def redis() -> Iterator[Redis]:
    """Run an empty server. It syncs its log to the disk once a second, as Redis does by default."""
    program = shutil.which(PROGRAM)
    assert program, "Redis is not installed: sh dev/setup.sh --with-bench-tools"
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="tidemill-redis-") as folder:
        log = Path(folder, "log")
        options = ["--port", str(port), "--bind", HOST, "--dir", folder, "--save", ""]
        process = spawn([program, *options, "--appendonly", "yes"], log)
        try:
            wait_for_line(process, log, READY, name=PROGRAM, timeout=START_S)
            yield Redis(f"redis://{HOST}:{port}", process.pid)
        finally:
            stop(process, STOP_S)
