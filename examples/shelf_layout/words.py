"""Say in words what the drawing shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from examples.shelf_layout.layout import Layout

TIMES = "\N{MULTIPLICATION SIGN}"


def title(layout: Layout) -> str:
    """Return what the drawing shows, in a line."""
    return f"Shelf layout with {layout.points:,.0f} points"


def describe(layout: Layout) -> str:
    """Return the layout as text, shelf by shelf."""
    products = layout.parameters.products
    rows = []
    for row, shelf in enumerate(layout.parameters.shelves):
        here = [each for each in layout.placements if each.shelf == row]
        names = ", ".join(f"{products[each.product].name} {TIMES} {each.facings}" for each in here)
        rows.append(f"{shelf.name}: {names or 'empty'}.")
    return f"{judgement(layout)}. From top to bottom, each from left to right. {' '.join(rows)}"


def judgement(layout: Layout) -> str:
    """Return whether a better layout can exist."""
    if layout.optimal:
        return "No layout has more points"
    return f"No layout has more than {layout.bound:,.0f} points"
