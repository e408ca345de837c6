from __future__ import annotations

import os
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from tidemill.lines import arrived_lines
from tidemill.terminal.reading import reading

if TYPE_CHECKING:
    from pathlib import Path


def terminal() -> Console:
    """Return a terminal whose text can be read."""
    return Console(file=StringIO(), force_terminal=True, width=80)


def shown(console: Console) -> str:
    """Return what a terminal has shown."""
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_bar(tmp_path: Path) -> None:
    """A terminal shows how much of the file has been processed; its lines are unchanged."""
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\n" * 300_000)
    console = terminal()
    with path.open("rb") as source, reading(source, console) as watched:
        lines = [line for part in arrived_lines(watched) for line in part]
    assert lines == [b"one", b"two"] * 300_000
    assert "predicting" in shown(console)
    assert "100%" in shown(console)


def test_pipe() -> None:
    """A pipe, which has no size, has no bar."""
    end, start = os.pipe()
    console = terminal()
    with os.fdopen(start, "wb") as writer:
        writer.write(b"one\n")
    with os.fdopen(end, "rb") as source, reading(source, console) as watched:
        assert watched is source
    assert shown(console) == ""


def test_no_terminal(tmp_path: Path) -> None:
    """Elsewhere nothing is written."""
    path = tmp_path / "lines"
    path.touch()
    console = Console(file=StringIO())
    with path.open("rb") as source, reading(source, console) as watched:
        assert watched is source
    assert shown(console) == ""
