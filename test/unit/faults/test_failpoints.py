from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from faults.failpoints import Failpoints, Hit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def failpoints(tmp_path: Path) -> Failpoints:
    """Failpoints in a folder."""
    made = Failpoints(tmp_path / "failpoints")
    assert made.environment(tmp_path / "checkpoint") == {"FAULTS_FAILPOINTS": str(made.folder)}
    return made


class TestArmed:
    """A failpoint waits for one process, and leaves no files."""

    def test_not_reached(self, failpoints: Failpoints) -> None:
        """A failpoint that no process reaches is disarmed after the timeout."""
        ticks = []
        with failpoints.armed("before-send", "worker", 0.05, lambda: ticks.append(1)) as hit:
            assert hit is None
        assert ticks
        assert [path.name for path in failpoints.folder.iterdir()] == ["checkpoint"]

    def test_hit_and_released(self, failpoints: Failpoints) -> None:
        """The process that hits it is named, and released at the end."""
        released = threading.Event()

        def reach() -> None:
            armed = failpoints.folder / "before-send.armed"
            while not armed.exists():
                pass
            mine = failpoints.folder / f"before-send.{os.getpid()}"
            armed.rename(mine)
            draft = failpoints.folder / "before-send.draft"
            draft.write_text(json.dumps({"pid": os.getpid(), "time": 1.5}))
            draft.rename(failpoints.folder / "before-send.hit")
            while not (failpoints.folder / "before-send.release").exists():
                pass
            time.sleep(0.1)  # as if the machine was busy
            released.set()
            mine.unlink()

        process = threading.Thread(target=reach)
        process.start()
        with failpoints.armed("before-send", "group", 60) as hit:
            assert hit == Hit(os.getpid(), 1.5)
            assert not released.is_set()
        assert released.is_set()
        process.join(60)
        assert [path.name for path in failpoints.folder.iterdir()] == ["checkpoint"]
