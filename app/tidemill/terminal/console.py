"""Where a person reads it."""

from __future__ import annotations

from rich.console import Console


def console() -> Console:
    """Return a console; a file or a pipe, which have no width, get room for the tables."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=160)
