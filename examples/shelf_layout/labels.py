"""Fit text into boxes, without asking a font: widths are estimated on the wide side."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

SIZES = (15, 14, 13, 12, 11, 10, 9)
LEADING = 1.15  # line heights per font size
ELLIPSIS = "…"


class Label(NamedTuple):
    """Lines of text in a font size; a vertical label reads upwards."""

    lines: tuple[str, ...]
    size: int
    vertical: bool = False


def width(text: str, size: float) -> float:
    """Return about how wide a text is in a sans-serif font."""
    return size * sum(map(_em, text))


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in "iIjlt.,:;'|!()[] f":
        return 0.4
    if character in "mwMW@%—" + ELLIPSIS:
        return 1.0
    return 0.78 if character.isupper() else 0.68


def fit(text: str, wide: float, high: float) -> Label | None:
    """Return the largest label that a box can hold; None if not even a shortened one fits."""
    for size in SIZES:
        for vertical in (False, True):
            across, along = (high, wide) if vertical else (wide, high)
            lines = wrap(text, across, size)
            if lines and len(lines) * size * LEADING <= along:
                return Label(lines, size, vertical)
    vertical = high > wide
    if min(wide, high) < SIZES[-1] * LEADING:
        return None
    short = shorten(text, max(wide, high), SIZES[-1])
    return Label((short,), SIZES[-1], vertical) if short else None


def wrap(text: str, wide: float, size: int) -> tuple[str, ...] | None:
    """Return a text in lines that fit; None if a word does not."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size) <= wide:
            lines[-1] = longer
        elif width(word, size) <= wide:
            lines.append(word)
        else:
            return None
    return tuple(lines)


def shorten(text: str, wide: float, size: float) -> str:
    """Return as much of a text as fits, with an ellipsis if some is missing; or nothing."""
    if width(text, size) <= wide:
        return text
    for end in range(len(text) - 1, 0, -1):
        short = text[:end].rstrip() + ELLIPSIS
        if width(short, size) <= wide:
            return short
    return ""
