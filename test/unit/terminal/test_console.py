from __future__ import annotations

import io
from typing import TYPE_CHECKING

from tidemill.terminal.console import console

if TYPE_CHECKING:
    import pytest


class TestConsole:
    """How wide the tables may be."""

    def test_pipe(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pipe or a file has room."""
        monkeypatch.setattr("sys.stdout", io.StringIO())
        assert console().width == 160

    def test_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A terminal is as wide as it is."""
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "70")
        assert console().width == 70
