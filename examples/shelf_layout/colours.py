"""Choose a colour for each group, and write the style sheet, in light and dark."""

from __future__ import annotations

from colorsys import hls_to_rgb

FIRST_HUE, GOLDEN_ANGLE = 188, 137.5  # neighbours in the list are far apart on the wheel

# Text has a contrast of at least 4.5 to 1 with what is behind it.
LIGHT = {
    "page": "#ffffff", "back": "#f1f4f4", "best": "#fff4d6", "ink": "#14201f", "muted": "#53625f",
    "line": "#d3dbda", "board": "#8d9a98", "accent": "#0b6e75", "eye": "#8a5a00",
}  # fmt: skip
DARK = {
    "page": "#121a1a", "back": "#1a2423", "best": "#2e2814", "ink": "#e6eeec", "muted": "#9fb0ad",
    "line": "#33413f", "board": "#66736f", "accent": "#6cc5ca", "eye": "#f2c14e",
}  # fmt: skip

SHEET = """
text {{ font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }}
.page {{ fill: {page}; }} .back {{ fill: {back}; }} .best {{ fill: {best}; }}
.ink {{ fill: {ink}; }} .muted {{ fill: {muted}; }} .board {{ fill: {board}; }}
.track {{ fill: {line}; }} .bar {{ fill: {accent}; }} .eye {{ fill: none; stroke: {eye}; }}
.eye-text, .pupil {{ fill: {eye}; }}
"""


def style(groups: int) -> str:
    """Return the style sheet for so many groups: classes `g0`, `g1` and so on."""
    light = SHEET.format(**LIGHT) + _groups(groups, fill=0.86, edge=0.45, rail=0.28, text=0.16)
    dark = SHEET.format(**DARK) + _groups(groups, fill=0.2, edge=0.6, rail=0.3, text=0.9)
    return f"{light}@media (prefers-color-scheme: dark) {{{dark}}}"


def _groups(groups: int, *, fill: float, edge: float, rail: float, text: float) -> str:
    return "\n".join(
        f".g{n} .box {{ fill: {_hex(n, fill)}; stroke: {_hex(n, edge)}; }} "
        f".g{n} .rail {{ fill: {_hex(n, rail)}; }} "
        f".g{n} .plate {{ fill: {_hex(n, fill)}; }} .g{n} .label {{ fill: {_hex(n, text)}; }}"
        for n in range(groups)
    )


def _hex(group: int, lightness: float) -> str:
    hue = (FIRST_HUE + group * GOLDEN_ANGLE) % 360 / 360
    return "#" + "".join(f"{round(255 * part):02x}" for part in hls_to_rgb(hue, lightness, 0.48))
