"""State the problem for CP-SAT, the solver of OR-Tools."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING

from ortools.sat.python import cp_model

from examples.shelf_layout.layout import Placement, worth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from examples.shelf_layout.parameters import Parameters

Value = Callable[[cp_model.IntVar], int]


class Model:
    """The variables and rules of a layout; `placements` reads one out of the solver's values."""

    def __init__(self, parameters: Parameters) -> None:
        self.cp = cp_model.CpModel()
        self._parameters = parameters
        products, new = parameters.products, self.cp.new_int_var
        self._longest = max(shelf.length for shelf in parameters.shelves)
        self._starts = [new(0, self._longest, f"start {n}") for n, _ in enumerate(products)]
        self._ends = [new(0, self._longest, f"end {n}") for n, _ in enumerate(products)]
        self._facings = [new(0, each.facings_max, f"facings {n}") for n, each in enumerate(products)]
        # Whether a product stands on a shelf, and whether it does with so many facings.
        self._stands: dict[tuple[int, int], cp_model.IntVar] = {}
        self._chosen: dict[tuple[int, int, int], cp_model.IntVar] = {}
        for n, _ in enumerate(products):
            self._place(n)
        for row, _ in enumerate(parameters.shelves):
            self._fit(row)
        costs = [self._surround(group) for group in parameters.groups]
        gains = [
            worth(products[n].value, parameters.shelves[row].weight, number) * chosen
            for (n, row, number), chosen in self._chosen.items()
        ]
        self.cp.maximize(sum(gains) - parameters.together * sum(costs))

    def _place(self, n: int) -> None:
        """Let a product stand on one shelf at most, with facings that are allowed there."""
        product = self._parameters.products[n]
        for row, shelf in enumerate(self._parameters.shelves):
            for number in self._parameters.room(product, shelf):
                self._chosen[n, row, number] = self.cp.new_bool_var(f"{number} of {n} on {row}")
            if here := [self._chosen[key] for key in self._chosen if key[:2] == (n, row)]:
                self._stands[n, row] = stands = self.cp.new_bool_var(f"{n} on {row}")
                self.cp.add(sum(here) == stands)
                self.cp.add(self._ends[n] <= shelf.length).only_enforce_if(stands)
        rows = [self._stands[key] for key in self._stands if key[0] == n]
        if product.facings_min:
            self.cp.add_exactly_one(rows)
        else:
            self.cp.add_at_most_one(rows)
        numbers = [key[2] * self._chosen[key] for key in self._chosen if key[0] == n]
        self.cp.add(self._facings[n] == sum(numbers))
        self.cp.add(self._ends[n] == self._starts[n] + product.length * self._facings[n])
        # A product that is left out has one place to be, so that layouts count once.
        self.cp.add(self._starts[n] <= self._longest * sum(rows))

    def _fit(self, row: int) -> None:
        """Let products on a shelf not overlap."""
        here = [n for n, at in self._stands if at == row]
        self.cp.add_no_overlap(
            self.cp.new_optional_interval_var(
                self._starts[n],
                self._parameters.products[n].length * self._facings[n],
                self._ends[n],
                self._stands[n, row],
                f"span of {n} on {row}",
            )
            for n in here
        )
        # It follows, but the solver's linear relaxation does not see it.
        self.cp.add(self._taken(row, here) <= self._parameters.shelves[row].length)

    def _surround(self, group: str) -> cp_model.LinearExprT:
        """Return half the perimeter of the box around a group, in mm."""
        shelves = self._parameters.shelves
        left, right, width = (
            self.cp.new_int_var(0, self._longest, f"{side} of {group}")
            for side in ("left", "right", "width")
        )
        self.cp.add(width == right - left)
        inside = [self.cp.new_bool_var(f"{group} spans {row}") for row, _ in enumerate(shelves)]
        for above, row, below in combinations(inside, 3):
            self.cp.add_bool_or(above.negated(), row, below.negated())
        members = {n for n, each in enumerate(self._parameters.products) if each.group == group}
        for (n, row), stands in self._stands.items():
            if n in members:
                self.cp.add(left <= self._starts[n]).only_enforce_if(stands)
                self.cp.add(right >= self._ends[n]).only_enforce_if(stands)
                self.cp.add_implication(stands, inside[row])
        for row, _ in enumerate(shelves):  # It follows, too.
            self.cp.add(width >= self._taken(row, members))
        heights = [s.height * spans for s, spans in zip(shelves, inside, strict=True)]
        return width + sum(heights)

    def _taken(self, row: int, products: Iterable[int]) -> cp_model.LinearExprT:
        """Return the length that some products take on a shelf, in mm."""
        wanted = set(products)
        return sum(
            self._parameters.products[n].length * number * chosen
            for (n, at, number), chosen in self._chosen.items()
            if at == row and n in wanted
        )

    def start_from(self, placements: Iterable[Placement]) -> None:
        """Tell the solver a layout to improve."""
        places = {each.product: each for each in placements}
        for (n, row), stands in self._stands.items():
            self.cp.add_hint(stands, n in places and places[n].shelf == row)
        for (n, row, number), chosen in self._chosen.items():
            at = places.get(n)
            self.cp.add_hint(chosen, at is not None and (at.shelf, at.facings) == (row, number))
        for n, start in enumerate(self._starts):
            self.cp.add_hint(start, places[n].start if n in places else 0)
            self.cp.add_hint(self._facings[n], places[n].facings if n in places else 0)

    def placements(self, value: Value) -> list[Placement]:
        """Return the layout of a solution, shelf by shelf from left to right."""
        placed = [
            Placement(product=n, shelf=row, start=value(self._starts[n]), facings=number)
            for (n, row, number), chosen in self._chosen.items()
            if value(chosen)
        ]
        return sorted(placed, key=lambda each: (each.shelf, each.start))
