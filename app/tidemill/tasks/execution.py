"""Run one task in a process of its own: the worker's side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidemill.errors import TaskTimedOut
from tidemill.models.isolation.child import pack
from tidemill.tasks.outcome import Failure, Progress
from tidemill.tasks.reaper import reaper

if TYPE_CHECKING:
    from tidemill.tasks.job import Job
    from tidemill.tasks.leases import Claim
    from tidemill.tasks.outcome import Outcome

READ: Final = 2**20
STDERR: Final = 2


class _Line(msgspec.Struct):
    """What the process writes; see `child`."""

    progress: float | None = None
    phrase: str = ""
    interim: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: str | None = None
    hint: str = ""


class Execution:
    """A claimed run that executes; nothing here waits for its process."""

    def __init__(self, claim: Claim, job: Job, *, max_result: int, grace: float) -> None:
        """Start the process, in a session of its own, so that what it starts can be ended too."""
        self.claim = claim
        self.progress = Progress()
        self.is_wanted = True  # until another worker has the run
        self.outcome: Outcome | None = None
        self._timeout = job.timeout
        self._grace = grace
        self._started: float | None = None
        self._kill_at: float | None = None
        self._buffer = bytearray()
        self._is_open = True
        self._is_killed = False
        self._reaper = reaper()
        self._process, self._pipe = _start(claim, job, max_result)
        self._reaper.add(self._process.pid)

    @property
    def pipe(self) -> int | None:
        """The pipe, which can be read when the process has something to tell; None if closed."""
        return self._pipe if self._is_open else None

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, and all that it wrote was read."""
        return self._process.poll() is not None

    @property
    def why(self) -> str:
        """How a process ended that left no outcome."""
        code = self._process.returncode
        if code is not None and code < 0:
            return f"its process was ended by signal {-code} ({signal.strsignal(-code)})"
        return f"its process ended with exit code {code}"

    def step(self, now: float) -> None:
        """Read what the process tells, and end it if it takes too long. `now` is monotonic."""
        self._started = now if self._started is None else self._started
        ended = self._process.poll() is not None
        self._read()
        if ended or (self.outcome is not None and self._kill_at is None):
            self.kill()  # with all that it has started
        elif self._kill_at is not None:
            if now >= self._kill_at:
                self.kill()
        elif now - self._started >= self._timeout:
            self.outcome = Failure.of(TaskTimedOut(self._timeout))
            self.stop(now, cancelled=True)

    def shown(self, progress: Progress) -> None:
        """Take note that a progress was written: its interim result need not be again."""
        if self.progress.interim is progress.interim:
            self.progress = self.progress._replace(interim=None)

    def stop(self, now: float, *, cancelled: bool = False) -> None:
        """Ask the process to end, and kill it if it does not within the grace time.

        If `cancelled`, no later attempt goes on with the run: its job may end what it has begun.
        """
        if self._kill_at is None:
            self._kill_at = now + self._grace
            with suppress(ProcessLookupError):
                if cancelled:
                    self._process.send_signal(signal.SIGUSR1)  # first, for `report.cancelled`
                self._process.terminate()

    def kill(self) -> None:
        """Kill the process and what it has started, once: later its id may be another's."""
        if not self._is_killed:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reaper.remove(self._process.pid)
            self._is_killed = True
            self._process.wait()

    def close(self) -> None:
        """Release the pipe of a process that has ended."""
        os.close(self._pipe)

    def _read(self) -> None:
        """Read all that there is to read; the last progress counts, and the first outcome."""
        before = len(self._buffer)
        with suppress(BlockingIOError):
            while part := os.read(self._pipe, READ):
                self._buffer += part
            self._is_open = False
        if b"\n" not in self._buffer[before:]:
            return
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            with suppress(msgspec.DecodeError):  # what else a job may write there
                self._hear(msgspec.json.decode(line, type=_Line))

    def _hear(self, told: _Line) -> None:
        if told.progress is not None:
            interim = bytes(told.interim) or self.progress.interim
            self.progress = Progress(told.progress, told.phrase, interim)
        elif self.outcome is None:
            failed = told.error is not None
            self.outcome = Failure(told.error or "", told.hint) if failed else bytes(told.result)


def _start(claim: Claim, job: Job, max_result: int) -> tuple[subprocess.Popen[bytes], int]:
    """Start the process; return it and the pipe that it writes to."""
    request: dict[str, Any] = {
        "job": job.name,
        "class": job.path,
        "options": pack(job.options),
        "parameters": claim.parameters,
        "run": claim.id,
        "attempt": claim.attempt,
        "key": claim.key,
        "max_result": max_result,
    }
    mine, theirs = os.pipe()
    os.set_blocking(mine, False)
    try:
        with tempfile.TemporaryFile() as file:  # a pipe would make a writer of much wait
            file.write(json.dumps(request).encode())
            file.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-m", "tidemill.tasks.child", str(theirs), str(os.getpid())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=file,
                stdout=STDERR,  # the worker's log
                pass_fds=[theirs],
                start_new_session=True,
            )
    except BaseException:
        os.close(mine)
        raise
    finally:
        os.close(theirs)
    return process, mine
