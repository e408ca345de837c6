"""Run the solver in a thread, and keep the best layout and bound so far."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ortools.sat.python import cp_model

from examples.shelf_layout.greedy import greedy
from examples.shelf_layout.layout import SCALE, Layout, most_worth, score, tidy
from examples.shelf_layout.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.shelf_layout.layout import Placement
    from examples.shelf_layout.parameters import Parameters

STOP_POLL_S = 0.1


class NoLayout(Exception):
    """No layout obeys the rules, or none was found in time."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.add_note(f"hint: {hint}")


class Search(threading.Thread):
    """A search in a thread of its own, which leaves the main thread free to report and to stop it.

    It starts from the greedy layout, so the result is never worse.
    """

    def __init__(self, parameters: Parameters, workers: int, seed: int) -> None:
        super().__init__(name="shelf layout", daemon=True)
        self._parameters = parameters
        self._solver = cp_model.CpSolver()
        self._solver.parameters.max_time_in_seconds = parameters.seconds
        self._solver.parameters.num_workers = workers
        self._solver.parameters.random_seed = seed
        self._solver.parameters.catch_sigint_signal = False  # Python handles it
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._status = cp_model.UNKNOWN
        self._error: Exception | None = None
        self._best: list[Placement] | None = None
        self._points: int | None = None
        self._bound = most_worth(parameters)
        self._improved = 0

    def run(self) -> None:
        """Search until the time is over."""
        try:
            model = Model(self._parameters)
            placements = greedy(self._parameters)
            if placements is not None:
                self._best, self._points = placements, score(self._parameters, placements)
                model.start_from(placements)
            self._solver.best_bound_callback = self._lower_bound
            self._status = self._solver.solve(model.cp, _Solutions(model, self._improve))
        except Exception as error:  # noqa: BLE001 - `layout` raises it in the main thread
            self._error = error
        finally:
            self._ended.set()

    def _lower_bound(self, bound: float) -> None:
        self._bound = min(self._bound, round(bound))

    def _improve(self, placements: list[Placement]) -> None:
        points = score(self._parameters, placements)
        if self._points is None or points > self._points:
            self._best, self._points = placements, points
            self._improved += 1

    def wait(self, seconds: float) -> bool:
        """Wait for the end; return whether the search has ended.

        Do not use `join`: in Python 3.11, a thread whose `join` a signal handler leaves with an
        exception passes for ended.
        """
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """End the search."""
        while not self.wait(0):
            self._solver.stop_search()
            self.wait(STOP_POLL_S)

    @property
    def progress(self) -> float:
        """The share of the time that has passed."""
        return min(1.0, (time.monotonic() - self._began) / self._parameters.seconds)

    @property
    def phrase(self) -> str:
        """The best points so far, and how many no layout can exceed."""
        if self._points is None:
            return "no layout yet"
        points, bound = self._points / SCALE, self._bound / SCALE
        if self._status == cp_model.OPTIMAL:
            return f"{points:,.0f} points, the best possible"
        return f"{points:,.0f} points, at most {bound:,.0f}; improved {self._improved} times"

    @property
    def improved(self) -> int:
        """How often a better layout was found."""
        return self._improved

    def best(self) -> Layout | None:
        """Return the best layout so far."""
        if self._best is None:
            return None
        optimal = self._status == cp_model.OPTIMAL
        placements = tidy(self._parameters, self._best)
        points = score(self._parameters, placements)
        return Layout(
            parameters=self._parameters,
            placements=placements,
            points=points / SCALE,
            bound=(points if optimal else self._bound) / SCALE,
            optimal=optimal,
        )

    def layout(self) -> Layout:
        """Return the best layout of a search that has ended.

        Raises:
            NoLayout: There is none, or none was found in time.

        """
        if self._error is not None:
            raise self._error
        if self._status == cp_model.INFEASIBLE:
            raise NoLayout(
                "the products do not fit on the shelves with their fewest facings",
                "Lower facings_min of some products, or add or lengthen shelves.",
            )
        best = self.best()
        if best is None:
            raise NoLayout(
                f"no layout was found in {self._parameters.seconds:g} s",
                "Raise `seconds`, or lower facings_min of some products.",
            )
        return best


class _Solutions(cp_model.CpSolverSolutionCallback):
    """Passes on each solution that the solver finds."""

    def __init__(self, model: Model, improve: Callable[[list[Placement]], None]) -> None:
        super().__init__()
        self._model, self._improve = model, improve

    def on_solution_callback(self) -> None:
        """Read the solution."""
        self._improve(self._model.placements(self.value))
