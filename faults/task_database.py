"""The databases of `make faults-tasks`, on a small disk that can be filled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from dev.kafka.process import NotReady
from dev.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZES: Final = {"sqlite": "16m", "postgresql": "400m"}
AWAY_S: Final = 4.0  # for up to so long, which is twice the take-over time
STARTS: Final = 20


class Database:
    """A database whose disk may be full, and that may go away if it is a server."""

    def __init__(self, kind: str, folder: Path) -> None:
        """Prepare an empty database."""
        self.kind = kind
        self._folder = folder / "database"
        self._open = ExitStack()
        self._server: Postgres | None = None
        self.has_small_disk = False

    def __enter__(self) -> Self:
        """Mount the disk if that is allowed, and start the server."""
        self._folder.mkdir()
        self._folder.parent.chmod(0o711)  # PostgreSQL runs as another user
        with self._open:
            self.has_small_disk = self._open.enter_context(mounted(self._folder, SIZES[self.kind]))
            if self.kind == "postgresql":
                self._server = self._open.enter_context(Postgres(parent=self._folder))
            self._open = self._open.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server, and release the disk."""
        self._open.close()

    @property
    def url(self) -> str:
        """The URL of the database."""
        return f"sqlite:///{self._folder}/tasks.db" if self._server is None else self._server.url

    def restart(self) -> None:
        """Let the server be away for a while: stopped at once, or killed."""
        assert self._server is not None
        self._server.stop(random.choice([signal.SIGQUIT, signal.SIGKILL]))  # noqa: S311 - no secret
        time.sleep(random.uniform(0, AWAY_S))  # noqa: S311 - no secret
        self._start()

    def fill(self) -> None:
        """Fill the disk for a while."""
        filler = self._folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        time.sleep(random.uniform(1, AWAY_S))  # noqa: S311 - no secret
        filler.unlink()
        if self._server is not None and not self._server.is_running():
            self._start()  # it ends if it cannot write its log

    def _start(self) -> None:
        """Start the server, as soon as what is left of the earlier one has ended."""
        assert self._server is not None
        for _ in range(STARTS):
            with suppress(NotReady):
                self._server.start()
                return
            time.sleep(0.5)
        raise AssertionError("PostgreSQL does not start again")


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[bool]:
    """Mount a file system in memory; yield whether this was possible, which needs root."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
