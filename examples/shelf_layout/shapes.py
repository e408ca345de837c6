"""Write the shapes of a drawing as SVG; numbers are rounded, so that the text stays short."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from examples.shelf_layout import labels

if TYPE_CHECKING:
    from collections.abc import Iterator


def rectangle(kind: str, left: float, top: float, wide: float, high: float) -> str:
    """Return a rectangle."""
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" '
        f'height="{high:.1f}"/>'
    )


def text_at(
    left: float,
    base: float,
    text: str,
    kind: str,
    size: int,
    *,
    weight: int = 400,
    anchor: str = "start",
) -> str:
    """Return a line of text, whose letters stand on `base`."""
    return (
        f'<text class="{kind}" x="{left:.1f}" y="{base:.1f}" font-size="{size}" '
        f'font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def name_at(label: labels.Label, middle: float, centre: float) -> Iterator[str]:
    """Yield a product's name, centred, on a plate that hides the edges of facings behind it."""
    turn = f' transform="rotate(-90 {middle:.1f} {centre:.1f})"' if label.vertical else ""
    step = label.size * labels.LEADING
    wide = max(labels.width(line, label.size) for line in label.lines) + 2
    high = step * len(label.lines)
    yield (
        f'<rect class="plate" x="{middle - wide / 2:.1f}" y="{centre - high / 2:.1f}" '
        f'width="{wide:.1f}" height="{high:.1f}" rx="4"{turn}/>'
    )
    base = centre - step * (len(label.lines) - 1) / 2 + label.size * 0.35
    for n, line in enumerate(label.lines):
        yield (
            f'<text class="label" x="{middle:.1f}" y="{base + n * step:.1f}" '
            f'font-size="{label.size}" font-weight="600" text-anchor="middle"{turn}>'
            f"{escape(line)}</text>"
        )
