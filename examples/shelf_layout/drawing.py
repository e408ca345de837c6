"""Draw a layout as SVG: to scale, in light or dark, with a text for those who do not see it."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from examples.shelf_layout import labels
from examples.shelf_layout.colours import style
from examples.shelf_layout.layout import length
from examples.shelf_layout.shapes import name_at, rectangle, text_at
from examples.shelf_layout.words import TIMES, describe, judgement, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from examples.shelf_layout.layout import Layout, Placement

WIDTH, MARGIN, GUTTER = 1200.0, 28.0, 132.0
TOP, RAIL, GAP = 108.0, 20.0, 14.0
MOST_HEIGHT = 1200.0  # of all shelves together
LEAST_ROW = 24.0
LEGEND_ROW = 30.0


def render(layout: Layout) -> str:
    """Return the layout as an SVG document, the same each time."""
    drawing = Drawing(layout)
    body = "\n".join([*drawing.heading(), *drawing.bay(), *drawing.legend()])
    size = f"{WIDTH:g} {drawing.bottom + MARGIN:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" '
        f'aria-labelledby="title" aria-describedby="desc">\n'
        f'<title id="title">{escape(title(layout))}</title>\n'
        f'<desc id="desc">{escape(describe(layout))}</desc>\n'
        f"<style>{style(len(layout.parameters.groups))}</style>\n"
        f'<rect class="page" width="100%" height="100%"/>\n{body}\n</svg>\n'
    )


class Drawing:
    """The parts of the drawing, from top to bottom; `bottom` is where the last one ended."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._parameters = layout.parameters
        self._groups = {name: n for n, name in enumerate(layout.parameters.groups)}
        shelves = layout.parameters.shelves
        self._left = MARGIN + GUTTER
        self._scale = min(
            (WIDTH - self._left - MARGIN) / max(shelf.length for shelf in shelves),
            MOST_HEIGHT / sum(shelf.height for shelf in shelves),
        )
        self.bottom = TOP

    def heading(self) -> Iterator[str]:
        """Yield the title, the points and the bound."""
        layout, right = self._layout, WIDTH - MARGIN
        facings = sum(each.facings for each in layout.placements)
        placed = f"{len(layout.placements)} of {len(self._parameters.products)} products"
        yield text_at(MARGIN, 46, "Shelf layout", "ink", 24, weight=700)
        yield text_at(MARGIN, 72, f"{placed}, {facings} facings", "muted", 15)
        points = f"{layout.points:,.0f} points"
        yield text_at(right, 46, points, "ink", 24, weight=700, anchor="end")
        share = 1.0 if layout.optimal else max(0.0, min(1.0, layout.points / (layout.bound or 1)))
        yield f'<rect class="track" x="{right - 300:g}" y="57" width="300" height="5" rx="2.5"/>'
        yield (
            f'<rect class="bar" x="{right - 300:g}" y="57" width="{300 * share:.1f}" height="5" '
            'rx="2.5"/>'
        )
        yield text_at(right, 81, judgement(layout), "muted", 14, anchor="end")

    def bay(self) -> Iterator[str]:
        """Yield the shelves."""
        weights = [shelf.weight for shelf in self._parameters.shelves]
        best = max(weights) if max(weights) > min(weights) else None
        for row, shelf in enumerate(self._parameters.shelves):
            high = max(shelf.height * self._scale, LEAST_ROW)
            wide, floor = shelf.length * self._scale, self.bottom + high
            kind = "best" if shelf.weight == best else "back"
            yield rectangle(kind, self._left, self.bottom, wide, high)
            yield from self._name(shelf.name, shelf.weight, floor, is_best=shelf.weight == best)
            yield rectangle("board", self._left, floor, wide, RAIL)
            here = [each for each in self._layout.placements if each.shelf == row]
            for each in here:
                yield from self._product(each, floor)
            for group, run in groupby(here, key=self._group):
                yield from self._rail(group, [*run], floor)
            self.bottom = floor + RAIL + GAP

    def _name(self, name: str, weight: float, floor: float, *, is_best: bool) -> Iterator[str]:
        lines = labels.wrap(name, GUTTER - 16, 15)
        if not lines or len(lines) > (2 if floor - self.bottom > 50 else 1):
            lines = (labels.shorten(name, GUTTER - 16, 15),)
        up = floor - 8 - 18 * len(lines)
        for n, line in enumerate(lines):
            yield text_at(MARGIN, up + 18 * n, line, "ink", 15, weight=600)
        yield text_at(MARGIN, floor - 6, f"worth {TIMES} {weight:g}", "muted", 13)
        if is_best and floor - self.bottom > 80:
            yield (
                f'<g transform="translate({MARGIN:g} {up - 34:g})"><path class="eye" '
                'stroke-width="1.8" d="M1 8 Q12 -4 23 8 Q12 20 1 8 Z"/>'
                '<circle class="pupil" cx="12" cy="8" r="3.6"/></g>'
            )
            if "eye" not in name.lower():
                yield text_at(MARGIN + 30, up - 21, "eye level", "eye-text", 13, weight=600)

    def _group(self, placement: Placement) -> str:
        return self._parameters.products[placement.product].group

    def _product(self, placement: Placement, floor: float) -> Iterator[str]:
        product = self._parameters.products[placement.product]
        left = self._left + placement.start * self._scale
        wide, high = product.length * self._scale, product.height * self._scale
        facings = f"{placement.facings} facing{'s' * (placement.facings > 1)}"
        yield f'<g class="g{self._groups[product.group]}">'
        yield f"<title>{escape(f'{product.name} ({product.group}): {facings}')}</title>"
        inset = min(1.0, wide / 8)
        for n in range(placement.facings):
            yield (
                f'<rect class="box" x="{left + n * wide + inset:.1f}" y="{floor - high:.1f}" '
                f'width="{wide - 2 * inset:.1f}" height="{high:.1f}" '
                f'rx="{min(4, wide / 6, high / 6):.1f}"/>'
            )
        label = labels.fit(product.name, wide * placement.facings - 10, high - 6)
        if label:
            middle = left + wide * placement.facings / 2
            yield from name_at(label, middle, floor - high / 2)
        yield "</g>"

    def _rail(self, group: str, run: Sequence[Placement], floor: float) -> Iterator[str]:
        """Yield the coloured edge of the board below neighbours of one group, with its name."""
        left = self._left + run[0].start * self._scale
        right = run[-1].start + length(self._parameters, run[-1])
        wide = self._left + right * self._scale - left
        yield f'<g class="g{self._groups[group]}">{rectangle("rail", left, floor, wide, RAIL)}</g>'
        if name := labels.shorten(group, wide - 10, 12):
            at = left + wide / 2
            yield (
                f'<text x="{at:.1f}" y="{floor + 14:.1f}" font-size="12" font-weight="600" '
                f'text-anchor="middle" fill="#fff">{escape(name)}</text>'
            )

    def legend(self) -> Iterator[str]:
        """Yield the groups with their facings, and the products that are left out."""
        self.bottom += 8
        left = MARGIN
        for group, n in self._groups.items():
            facings = sum(p.facings for p in self._layout.placements if self._group(p) == group)
            text = f"{labels.shorten(group, 300, 14)}: {facings} facings"
            wide = 26 + labels.width(text, 14) + 18
            if left + wide > WIDTH - MARGIN and left > MARGIN:
                left, self.bottom = MARGIN, self.bottom + LEGEND_ROW
            yield (
                f'<g class="g{n}"><rect class="box" x="{left:.1f}" y="{self.bottom:.1f}" '
                'width="18" height="18" rx="4"/></g>'
            )
            yield text_at(left + 26, self.bottom + 14, text, "ink", 14)
            left += wide
        self.bottom += LEGEND_ROW
        placed = {each.product for each in self._layout.placements}
        missing = [p.name for n, p in enumerate(self._parameters.products) if n not in placed]
        if missing:
            text = labels.shorten(f"left out: {', '.join(missing)}", WIDTH - 2 * MARGIN, 14)
            yield text_at(MARGIN, self.bottom + 12, text, "muted", 14)
            self.bottom += LEGEND_ROW - 8
