"""The process that kills what tasks have started, if the worker cannot do so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tidemill.tasks.reaper import Reaper


def test_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it cannot be started, no pipe stays open, however often a worker tries."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = _open_files()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            Reaper()
    assert _open_files() <= before  # another thread may have closed some


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
