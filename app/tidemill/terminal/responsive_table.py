"""A table that fits its screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class ResponsiveTable:
    """A table of which some columns give way, the first one first, until the screen holds it.

    `draw` returns it without the columns that are named.
    """

    draw: Callable[[Container[str]], Table]
    give_way: tuple[str, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with as many columns as fit; with the fewest, it wraps what it may."""
        unlimited = options.update(max_width=10_000)
        for count in range(len(self.give_way)):
            table = self.draw(self.give_way[:count])
            if table.__rich_measure__(console, unlimited).maximum <= options.max_width:
                yield table
                return
        yield self.draw(self.give_way)
