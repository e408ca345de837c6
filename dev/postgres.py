"""Run a PostgreSQL server (Debian's package) as a child process, with a database of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, wait_for_line

if TYPE_CHECKING:
    from collections.abc import Sequence

USER: Final = "tidemill"
START_S: Final = 180.0
STOP_S: Final = 60.0
READY: Final = "database system is ready to accept connections"
# Its data need not outlive a power failure.
OPTIONS: Final = ("fsync=off", "full_page_writes=off", "max_connections=50", "shared_buffers=64MB")


class Postgres:
    """A server in a folder of its own, which keeps its port and its data over restarts."""

    def __init__(self, options: Sequence[str] = OPTIONS, *, parent: Path | None = None) -> None:
        """Create the data folder; as root, which PostgreSQL refuses, do it as another user.

        It is in a folder for temporary files, or in `parent`, which that user must be able to read.
        """
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="tidemill-postgres-", dir=parent))
        self._data, self._log = self._folder / "data", self._folder / "log"
        self._programs = _programs()
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            user = "--reuid=postgres", "--regid=postgres", "--clear-groups"
            self._as_user = ["setpriv", *user, "--pdeathsig=KILL"]
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        create = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C"]
        made = self._command("initdb", f"--pgdata={self._data}", "--no-sync", *create)
        subprocess.run(made, check=True, capture_output=True, cwd="/")

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql://{USER}@{HOST}:{self._port}/postgres"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        logged = self._log.stat().st_size if self._log.exists() else 0
        options = [f"--{option}" for option in self._options]
        where = ["-D", str(self._data), "-p", str(self._port), "-h", HOST, "-k", str(self._folder)]
        self._process = spawn(
            self._command("postgres", *where, *options), self._log, cwd=self._folder
        )
        wait_for_line(
            self._process, self._log, READY, name="postgres", timeout=START_S, start=logged
        )

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Kill it as an outage does: without a word to its clients."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(STOP_S)

    def is_running(self) -> bool:
        """Return whether the server has not ended."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and remove its data."""
        if self._process is not None:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _command(self, program: str, *arguments: str) -> Sequence[str]:
        return [*self._as_user, str(self._programs / program), *arguments]


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs, which Debian keeps out of the PATH."""
    if on_path := shutil.which("postgres"):
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    assert installed, "PostgreSQL is not installed: sh dev/setup.sh --with-test-tools"
    return installed[-1].parent
