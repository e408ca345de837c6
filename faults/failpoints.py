"""Points in a transaction or a model at which one process of a job can be killed or held.

A failpoint is a file in a folder that the hook (faults/hook) watches. `POINT.armed` names the
target of the kill; the first process that reaches the point renames it, so only one process can
hit it. `POINT.hit` names that process. A process that is held goes on after `POINT.release`, and
then removes `POINT.PID`, to which it has renamed the first file.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faults.job_processes import is_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOOK = Path(__file__).parent / "hook"
POINTS = ("before-send", "amid-send", "after-send", "before-commit", "after-commit")
# In a process of the pool, not in a transaction.
IN_PREDICT = "in-predict"
AFTER_LAST_COMMIT = "after-last-commit"
CLAIM_POINTS = ("claim-before-commit", "claim-after-commit")
POLL_S = 0.002
# More than a process is held at most (faults/hook).
HELD_S = 60.0


@dataclass(frozen=True, slots=True)
class Hit:
    """The process that reached a failpoint, and when, in seconds since the epoch."""

    pid: int
    time: float


@dataclass(frozen=True, slots=True)
class Failpoints:
    """The failpoints of a job, in a folder of their own."""

    folder: Path

    def environment(self, checkpoint: Path) -> dict[str, str]:
        """Create the folder; return the job's environment variables except PYTHONPATH."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "checkpoint").write_text(str(checkpoint))
        return {"FAULTS_FAILPOINTS": str(self.folder)}

    @contextmanager
    def armed(
        self, point: str, target: str, timeout: float, tick: Callable[[], None] = lambda: None
    ) -> Iterator[Hit | None]:
        """Arm a failpoint and yield its hit, or None if nothing reaches it within the timeout.

        Call `tick` while waiting. At the end, release the process that is held and disarm the
        failpoint.
        """
        armed = self.folder / f"{point}.armed"
        draft = armed.with_suffix(".draft")
        draft.write_text(target)
        draft.rename(armed)
        try:
            yield self._wait(point, timeout, tick)
        finally:
            armed.unlink(missing_ok=True)
            self.release(point)
            self._wait_for_held(point)
            for file in self.folder.glob(f"{point}.*"):
                file.unlink(missing_ok=True)

    def release(self, point: str) -> None:
        """Let the process that is held at a failpoint go on."""
        (self.folder / f"{point}.release").touch()

    def _wait_for_held(self, point: str) -> None:
        """Wait until no process is held at a failpoint, because it has gone on or ended."""
        deadline = time.monotonic() + HELD_S
        while time.monotonic() < deadline:
            held = [file.suffix[1:] for file in self.folder.glob(f"{point}.*")]
            if not any(pid.isdecimal() and is_running(int(pid)) for pid in held):
                return
            time.sleep(POLL_S)

    def _wait(self, point: str, timeout: float, tick: Callable[[], None]) -> Hit | None:
        hit = self.folder / f"{point}.hit"
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if hit.exists():
                return Hit(**json.loads(hit.read_text()))
            tick()
            time.sleep(POLL_S)
        return None
