from __future__ import annotations

import io
from typing import TYPE_CHECKING

from tidemill.terminal.console import console

if TYPE_CHECKING:
    import pytest


class TestConsole:
    """The console's width limits the tables."""

    def test_pipe(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pipe or a file gets a fixed, wide console."""
        monkeypatch.setattr("sys.stdout", io.StringIO())
        assert console().width == 160

    def test_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal keeps its own width."""
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "70")
        assert console().width == 70
