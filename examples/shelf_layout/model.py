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
        self._facings = [new(0, p.facings_max, f"facings {n}") for n, p in enumerate(products)]
        # Whether a product stands on a shelf; and whether it does with so many facings.
        self._stands: dict[tuple[int, int], cp_model.IntVar] = {}
        self._chosen: dict[tuple[int, int], dict[int, cp_model.IntVar]] = {}
        for n, _ in enumerate(products):
            self._place(n)
        for row, _ in enumerate(parameters.shelves):
            self._fit(row)
        costs = [self._surround(group) for group in parameters.groups]
        gains = [
            worth(products[n].value, parameters.shelves[row].weight, number) * chosen
            for (n, row), numbers in self._chosen.items()
            for number, chosen in numbers.items()
        ]
        total = cp_model.LinearExpr.sum
        self.cp.maximize(total(gains) - total(costs) * parameters.together)

    def _place(self, n: int) -> None:
        """Let a product stand on one shelf at most, with facings that are allowed there."""
        product = self._parameters.products[n]
        rows, numbers = [], []
        for row, shelf in enumerate(self._parameters.shelves):
            here = {
                number: self.cp.new_bool_var(f"{number} of {n} on {row}")
                for number in self._parameters.room(product, shelf)
            }
            if here:
                self._chosen[n, row] = here
                self._stands[n, row] = stands = self.cp.new_bool_var(f"{n} on {row}")
                self.cp.add(cp_model.LinearExpr.sum([*here.values()]) == stands)
                self.cp.add(self._ends[n] <= shelf.length).only_enforce_if(stands)
                rows.append(stands)
                numbers += [number * chosen for number, chosen in here.items()]
        if product.facings_min:
            self.cp.add_exactly_one(rows)
        else:
            self.cp.add_at_most_one(rows)
        self.cp.add(self._facings[n] == cp_model.LinearExpr.sum(numbers))
        self.cp.add(self._ends[n] == self._starts[n] + product.length * self._facings[n])
        # A product that is left out has one place to be, so that layouts count once.
        present = cp_model.LinearExpr.sum(rows)
        self.cp.add(self._starts[n] <= present * self._longest)

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
        for above, between, below in combinations(inside, 3):
            self.cp.add_bool_or(above.negated(), between, below.negated())
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
        return cp_model.LinearExpr.sum(
            [
                self._parameters.products[n].length * number * chosen
                for n in products
                for number, chosen in self._chosen.get((n, row), {}).items()
            ]
        )

    def start_from(self, placements: Iterable[Placement]) -> None:
        """Tell the solver a layout to improve."""
        places = {each.product: each for each in placements}
        for (n, row), stands in self._stands.items():
            self.cp.add_hint(stands, n in places and places[n].shelf == row)
        for (n, row), numbers in self._chosen.items():
            at = places.get(n)
            for number, chosen in numbers.items():
                here = at is not None and (at.shelf, at.facings) == (row, number)
                self.cp.add_hint(chosen, here)
        for n, (start, facings) in enumerate(zip(self._starts, self._facings, strict=True)):
            self.cp.add_hint(start, places[n].start if n in places else 0)
            self.cp.add_hint(facings, places[n].facings if n in places else 0)

    def placements(self, value: Value) -> list[Placement]:
        """Return the layout of a solution, shelf by shelf from left to right."""
        placed = [
            Placement(product=n, shelf=row, start=value(self._starts[n]), facings=number)
            for (n, row), numbers in self._chosen.items()
            for number, chosen in numbers.items()
            if value(chosen)
        ]
        return sorted(placed, key=lambda each: (each.shelf, each.start))
