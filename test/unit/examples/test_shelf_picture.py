from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import browser
import pytest

from examples.shelf_layout.colours import style
from examples.shelf_layout.drawing import render
from examples.shelf_layout.greedy import greedy
from examples.shelf_layout.layout import SCALE, Layout, most_worth, score
from examples.shelf_layout.parameters import Parameters, Product, Shelf
from examples.shelf_layout.run import BAY, read
from examples.shelf_layout.words import describe

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"
# What sticks out of its product, its rail or the drawing, as the browser measures it.
STICKING_OUT = """() => {
  const box = (each) => each.getBoundingClientRect();
  const inside = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1
    && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
  const page = box(document.documentElement);
  return [...document.querySelectorAll("text")].filter((text) => {
    if (!inside(box(text), page)) return true;
    const boxes = [...text.parentNode.querySelectorAll(".box")].map(box);
    if (!text.classList.contains("label")) return false;
    return !inside(box(text), {
      left: Math.min(...boxes.map((b) => b.left)), right: Math.max(...boxes.map((b) => b.right)),
      top: boxes[0].top, bottom: boxes[0].bottom,
    });
  }).map((text) => text.textContent);
}"""


def drawn(parameters: Parameters, **changes: object) -> Layout:
    """The greedy layout, as if it was the result."""
    placements = greedy(parameters)
    assert placements is not None
    points, bound = score(parameters, placements) / SCALE, most_worth(parameters) / SCALE
    layout = Layout(
        parameters=parameters, placements=placements, points=points, bound=bound, optimal=False
    )
    return layout.model_copy(update=changes)


def strange() -> Parameters:
    """Long, strange and tiny things."""
    names = ["W" * 60, "i" * 60, "<b>&\"'", "葡萄干 燕麦片", "Extra long crunchy oats " * 2, "x"]
    products = [
        Product(
            name=f"{name}{n}"[-60:], group=f"{name}"[:60], length=10 + 37 * n, height=20 + 55 * n,
            value=10, facings_max=2,
        )
        for n, name in enumerate(names)
    ]  # fmt: skip
    shelves = [
        Shelf(name="M" * 60, length=300, height=400, weight=2),
        Shelf(name="the lowest shelf of all, below the others", length=900, height=60, weight=0),
    ]
    return Parameters(shelves=shelves, products=products, together=0)


class TestContent:
    """The picture has everything, for eyes and for screen readers."""

    def test_facings(self) -> None:
        """It has a box for each facing, a tooltip for each product, and the groups."""
        layout = drawn(read(BAY))
        root = ET.fromstring(render(layout))  # noqa: S314 - ours
        products = [g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}title") is not None]
        boxes = [len(g.findall(f"{SVG}rect[@class='box']")) for g in products]
        in_order = sorted(layout.placements, key=lambda each: (each.shelf, each.start))
        assert boxes == [each.facings for each in in_order]
        texts = {text.text for text in root.iter(f"{SVG}text")}
        assert {"tea", "coffee", "eye level", f"{layout.points:,.0f} points"} <= texts

    def test_accessible(self) -> None:
        """It is an image with a title, and a description that lists each shelf."""
        layout = drawn(read(BAY))
        root = ET.fromstring(render(layout))  # noqa: S314 - ours
        assert root.get("role") == "img"
        assert root.findtext(f"{SVG}title") == f"Shelf layout with {layout.points:,.0f} points"
        assert root.findtext(f"{SVG}desc") == describe(layout)
        for product in (layout.parameters.products[each.product] for each in layout.placements):
            assert product.name in describe(layout)

    def test_best(self) -> None:
        """It says whether a better layout can exist."""
        assert "No layout has more points" in render(drawn(read(BAY), optimal=True))
        assert "No layout has more than 4,822 points" in render(drawn(read(BAY), bound=4822))

    def test_empty(self) -> None:
        """A layout without products is drawn, too."""
        layout = drawn(strange(), placements=[], points=0.0, bound=0.0)
        assert "empty" in describe(layout)
        ET.fromstring(render(layout))  # noqa: S314 - ours


class TestColours:
    """Text can be read in light and dark."""

    def test_contrast(self) -> None:
        """Names have a contrast of 4.5 to 1 with their boxes, as has white with the rails."""
        light, dark = style(40).split("@media")
        for sheet in (light, dark):
            for group in range(40):
                fill, rail, label = (
                    re.search(rf"\.g{group} \.{kind} {{ fill: (#\w+)", sheet)[1]  # type: ignore[index]
                    for kind in ("box", "rail", "label")
                )
                assert contrast(fill, label) >= 4.5
                assert contrast(rail, "#ffffff") >= 4.5
            page, ink, muted = (
                re.search(rf"\.{kind} {{ fill: (#\w+)", sheet)[1]  # type: ignore[index]
                for kind in ("page", "ink", "muted")
            )
            assert contrast(page, ink) >= 7
            assert contrast(page, muted) >= 4.5


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG defines it."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of #rrggbb."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class TestBrowser:
    """A real browser agrees with the estimates."""

    def test_labels_fit(self, tmp_path: Path) -> None:
        """No name sticks out of its product or of the picture, however long or strange."""
        if browser.CHROMIUM is None and "CI" not in os.environ:
            pytest.skip("there is no Chromium: install the Debian package chromium")
        with browser.started() as chromium:
            page = chromium.new_page(viewport={"width": 1200, "height": 1500})
            for name, parameters in (("bay", read(BAY)), ("strange", strange())):
                file = tmp_path / f"{name}.svg"
                file.write_text(render(drawn(parameters)), "utf-8")
                page.goto(file.as_uri())
                assert page.locator("text").count() > 10
                assert page.evaluate(STICKING_OUT) == []
