"""The task: search for the best layout of a shelf, and report how far the search is."""

from __future__ import annotations

# The server reads the annotations of `run`.
from collections.abc import Callable  # noqa: TC003

from pydantic import BaseModel

from examples.shelf_layout.drawing import render
from examples.shelf_layout.layout import Layout
from examples.shelf_layout.parameters import Parameters  # noqa: TC001
from examples.shelf_layout.search import Search
from examples.shelf_layout.words import describe

POLL_S = 0.5


class Drawn(BaseModel):
    """A layout with its picture, which the server's page shows, and the picture in words."""

    layout: Layout
    svg: str
    alt: str


class ShelfLayout:
    """A job: `run` searches until the time is over, or until no layout can be better."""

    def __init__(self, workers: int = 8, seed: int = 0) -> None:
        """Search with some threads.

        Each of eight threads follows another strategy, which pays even on fewer cores. One thread
        that ends in time finds the same layout each time.
        """
        self._workers, self._seed = workers, seed

    def run(self, parameters: Parameters, report: Callable[..., None]) -> Drawn:
        """Return the best layout found; report each better one.

        Raises:
            NoLayout: There is none, or none was found in time.

        """
        search = Search(parameters, self._workers, self._seed)
        search.start()
        shown = None
        try:
            while not search.wait(POLL_S):
                improved, best = search.improved, search.best()
                if best is None or improved == shown:
                    report(search.progress, search.phrase)
                else:
                    report(search.progress, search.phrase, drawn(best))
                    shown = improved
        finally:
            # A cancelled task leaves the loop with an exception, here SystemExit.
            search.stop()
        layout = search.layout()
        report(1.0, search.phrase)
        return drawn(layout)


def drawn(layout: Layout) -> Drawn:
    """Return a layout with its picture."""
    return Drawn(layout=layout, svg=render(layout), alt=describe(layout))
