"""Escape untrusted text, so that it cannot control the terminal."""

from __future__ import annotations

import msgspec
from rich.text import Text


def visible(text: str) -> str:
    """Replace all unprintable and control characters by escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(content: bytes | None) -> Text:
    """Return bytes as safe text: decoded as UTF-8, with escapes for the rest."""
    if content is None:
        return Text("null", style="dim")
    if not content:
        return Text("empty", style="dim")
    return Text(visible(content.decode(errors="backslashreplace")))


def pretty(content: bytes | None) -> Text:
    """Return a value as safe text, with JSON indented."""
    try:
        lines = msgspec.json.format(content or b"", indent=2).decode().split("\n")
    except (ValueError, RecursionError):
        return shown(content)
    return Text("\n".join(map(visible, lines)))
