"""What strangers wrote, made fit for a terminal: nothing in it may steer one."""

from __future__ import annotations

import msgspec
from rich.text import Text


def visible(text: str) -> str:
    """Return text with everything that prints nothing, or steers a terminal, as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(content: bytes | None) -> Text:
    """Return bytes to look at: text where they are UTF-8, null where there are none."""
    if content is None:
        return Text("null", style="dim")
    if not content:
        return Text("empty", style="dim")
    return Text(visible(content.decode(errors="backslashreplace")))


def pretty(content: bytes | None) -> Text:
    """Return a value to look at: JSON over several lines, all else as it is."""
    try:
        lines = msgspec.json.format(content or b"", indent=2).decode().split("\n")
    except (ValueError, RecursionError):
        return shown(content)
    return Text("\n".join(map(visible, lines)))
