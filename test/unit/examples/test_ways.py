"""The example of several ways to get a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from examples.ways import run

if TYPE_CHECKING:
    from pathlib import Path


def test_agree(tmp_path: Path) -> None:
    """A batch, look-ups in the store and a server's predictions give the same answers."""
    console = Console(width=200, record=True)
    assert run.run(console, tmp_path / "ways", [*run.WAYS]) == 0
    shown = console.export_text()
    assert "All ways agree." in shown
    assert '"features": {"customers": 1}' in shown
