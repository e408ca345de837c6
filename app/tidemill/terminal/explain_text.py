"""Safe and short texts of an explanation."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tidemill.terminal.escape import visible
from tidemill.units import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT = 300  # characters of a text
MAX_LINES = 40  # of a result
ONE_SECOND = 1.0


def count(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def conditions(match: Mapping[str, Any]) -> str:
    """Return the fields that an entry matches."""
    return visible(
        ", ".join(
            f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in match.items()
        )
    )


def short(text: str | None) -> Text:
    """Return safe text, cut if it is long."""
    if text is None:
        return Text("null", "dim")
    if not text:
        return Text("empty", "dim")
    shown = Text(visible(text[:SHORT]))
    if len(text) > SHORT:
        shown.append(f"… and {count(len(text) - SHORT, 'character')} more", "dim")
    return shown


def text_of(facts: Mapping[str, Any], name: str) -> str | None:
    """Return a part of a record, with escapes for bytes that are not UTF-8."""
    if (encoded := facts.get(f"{name}_base64")) is not None:
        return base64.b64decode(encoded).decode(errors="backslashreplace")
    return facts[name]  # type: ignore[no-any-return] # JSON


def milliseconds(seconds: float) -> str:
    """Return a duration, in milliseconds if it is short."""
    return f"{1000 * seconds:.1f} ms" if seconds < ONE_SECOND else duration(seconds)


def cut_lines(text: Text) -> Text:
    """Return a text without its last lines if it has many."""
    lines = text.split()
    if len(lines) <= MAX_LINES:
        return text
    shown = Text("\n").join(lines[:MAX_LINES])
    return shown.append(f"\n… and {len(lines) - MAX_LINES:,} more lines", "dim")
