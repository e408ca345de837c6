"""Orders to kill at a named point, laid down in a folder for whichever process meets the point.

`POINT.order` waits and says who is to die; renaming it takes it, so that only one process can.
`POINT.taken` tells who did; a process that is held there goes on after `POINT.release`.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOOK = Path(__file__).parent / "hook"
POINTS = ("before-send", "amid-send", "after-send", "before-commit", "after-commit")
LAST = "after-last-commit"
CLAIMS = ("claim-before-commit", "claim-after-commit")
POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class Taken:
    """Who took an order, and when, in seconds since the epoch."""

    pid: int
    time: float


@dataclass(frozen=True, slots=True)
class Orders:
    """The folder, and the environment that makes a job look there."""

    folder: Path

    def environment(self, checkpoint: Path) -> dict[str, str]:
        """Make the folder; return what a job's environment needs, but for PYTHONPATH."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "checkpoint").write_text(str(checkpoint))
        return {"FAULTS_ORDERS": str(self.folder)}

    @contextmanager
    def laid(
        self, point: str, victim: str, patience: float, tick: Callable[[], None] = lambda: None
    ) -> Iterator[Taken | None]:
        """Lay an order down and yield who took it, None after `patience` seconds without anyone.

        `tick` is called while it waits. At the end who is held is let go, and nothing is left.
        """
        order = self.folder / f"{point}.order"
        draft = order.with_suffix(".draft")
        draft.write_text(victim)
        draft.rename(order)
        try:
            yield self._wait(point, patience, tick)
        finally:
            order.unlink(missing_ok=True)
            self.release(point)
            time.sleep(5 * POLL_S)  # for who looks for it
            for left in self.folder.glob(f"{point}.*"):
                left.unlink(missing_ok=True)

    def release(self, point: str) -> None:
        """Let who is held at a point go on."""
        (self.folder / f"{point}.release").touch()

    def _wait(self, point: str, patience: float, tick: Callable[[], None]) -> Taken | None:
        taken = self.folder / f"{point}.taken"
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if taken.exists():
                return Taken(**json.loads(taken.read_text()))
            tick()
            time.sleep(POLL_S)
        return None
