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


def printable_json(text: str) -> str:
    """Replace the unprintable characters of a JSON text by JSON's escapes; keep line feeds."""
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def pretty_json(text: str) -> str:
    """Return a JSON text with indents, safe for a terminal."""
    return printable_json(msgspec.json.format(text, indent=2))


def _escape(character: str) -> str:
    """Return a character's JSON escape, in units of UTF-16."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
