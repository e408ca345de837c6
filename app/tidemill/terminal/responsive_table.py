"""A table that fits the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class ResponsiveTable:
    """A table that drops columns, in the given order, until it fits the terminal.

    `draw` returns the table without the named columns.
    """

    draw: Callable[[Container[str]], Table]
    droppable_columns: tuple[str, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with as many columns as fit; the narrowest version may wrap."""
        unlimited = options.update(max_width=10_000)
        for count in range(len(self.droppable_columns)):
            table = self.draw(self.droppable_columns[:count])
            if table.__rich_measure__(console, unlimited).maximum <= options.max_width:
                yield table
                return
        yield self.draw(self.droppable_columns)
