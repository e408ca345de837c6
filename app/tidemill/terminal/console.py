"""The console that tables are printed to."""

from __future__ import annotations

from rich.console import Console


def console() -> Console:
    """Return a console; a file or a pipe, which has no width, gets 160 columns."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=160)
