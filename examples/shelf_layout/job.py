"""The task: search for the best layout of a shelf, and report how far the search is."""

from __future__ import annotations

from collections.abc import Callable

from examples.shelf_layout.layout import Layout
from examples.shelf_layout.parameters import Parameters
from examples.shelf_layout.search import Search

POLL_S = 0.5


class ShelfLayout:
    """A job: `run` searches until the time is over, or until no layout can be better."""

    def __init__(self, workers: int = 2, seed: int = 0) -> None:
        """Search with some threads; one thread that finishes finds the same layout each time."""
        self._workers, self._seed = workers, seed

    def run(self, parameters: Parameters, report: Callable[[float, str], None]) -> Layout:
        """Return the best layout found.

        Raises:
            NoLayout: There is none, or none was found in time.

        """
        search = Search(parameters, self._workers, self._seed)
        search.start()
        try:
            while search.is_alive():
                report(search.progress, search.phrase)
                search.join(POLL_S)
        finally:
            # A cancelled task leaves the loop with an exception.
            search.stop()
        layout = search.layout()
        report(1.0, search.phrase)
        return layout
