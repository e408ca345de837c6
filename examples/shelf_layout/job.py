"""The task: search for the best layout of a shelf, and report how far the search is."""

from __future__ import annotations

# The server reads the annotations of `run`.
from collections.abc import Callable  # noqa: TC003

from examples.shelf_layout.layout import Layout  # noqa: TC001
from examples.shelf_layout.parameters import Parameters  # noqa: TC001
from examples.shelf_layout.search import Search

POLL_S = 0.5


class ShelfLayout:
    """A job: `run` searches until the time is over, or until no layout can be better."""

    def __init__(self, workers: int = 8, seed: int = 0) -> None:
        """Search with some threads.

        Each of eight threads follows another strategy, which pays even on fewer cores. One thread
        that ends in time finds the same layout each time.
        """
        self._workers, self._seed = workers, seed

    def run(self, parameters: Parameters, report: Callable[[float, str], None]) -> Layout:
        """Return the best layout found.

        Raises:
            NoLayout: There is none, or none was found in time.

        """
        search = Search(parameters, self._workers, self._seed)
        search.start()
        try:
            while not search.wait(POLL_S):
                report(search.progress, search.phrase)
        finally:
            # A cancelled task leaves the loop with an exception, here SystemExit.
            search.stop()
        layout = search.layout()
        report(1.0, search.phrase)
        return layout
