"""Describe a layout, check that it obeys the rules, and compute its points."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from examples.shelf_layout.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCALE = 1000  # The solver computes with integers: thousandths of a point.


class Placement(BaseModel):
    """A product's place: `facings` side by side from `start`, in mm from the left, on a shelf."""

    model_config = ConfigDict(frozen=True)

    product: int
    shelf: int
    start: int
    facings: int


class Layout(BaseModel):
    """The result: a layout, its points, and how many no layout can exceed."""

    parameters: Parameters
    placements: list[Placement]
    points: float
    bound: float
    optimal: bool

    @property
    def gap(self) -> float:
        """By which share of the bound a better layout might exceed this one."""
        return max(0.0, self.bound - self.points) / max(abs(self.bound), 1e-9)


def worth(value: int, weight: float, facings: int) -> int:
    """Return what a product's facings are worth: twice as many sell about 1.4 times as much.

    The square root is the usual shape of space elasticity: the next facing adds less.
    """
    return round(SCALE * value * weight * math.sqrt(facings))


def score(parameters: Parameters, placements: Sequence[Placement]) -> int:
    """Return the points of a layout, times SCALE: its worth, less what scattered groups cost.

    A group costs half the perimeter of the box around it, from its leftmost to its rightmost
    facing, and from its highest shelf to its lowest.
    """
    total = 0
    members = defaultdict(list)
    for each in placements:
        product, shelf = parameters.products[each.product], parameters.shelves[each.shelf]
        total += worth(product.value, shelf.weight, each.facings)
        members[product.group].append(each)
    for group in members.values():
        left = min(each.start for each in group)
        right = max(each.start + length(parameters, each) for each in group)
        top, bottom = min(each.shelf for each in group), max(each.shelf for each in group)
        high = sum(shelf.height for shelf in parameters.shelves[top : bottom + 1])
        # One mm costs `together` thousandths of a point.
        total -= parameters.together * (right - left + high)
    return total


def tidy(parameters: Parameters, placements: Sequence[Placement]) -> list[Placement]:
    """Return a layout with the products of each shelf moved left, if that costs no points."""
    best = sorted(placements, key=lambda each: (each.shelf, each.start))
    for row, _ in enumerate(parameters.shelves):
        moved, end = [], 0
        for each in best:
            if each.shelf == row:
                moved.append(each.model_copy(update={"start": end}))
                end += length(parameters, each)
            else:
                moved.append(each)
        if score(parameters, moved) >= score(parameters, best):
            best = moved
    return best


def length(parameters: Parameters, placement: Placement) -> int:
    """Return the length that a product takes, in mm."""
    return parameters.products[placement.product].length * placement.facings


def faults(parameters: Parameters, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield each rule that a layout breaks."""
    facings = dict.fromkeys(range(len(parameters.products)), 0)
    rows = defaultdict(list)
    for each in placements:
        product, shelf = parameters.products[each.product], parameters.shelves[each.shelf]
        if facings[each.product]:
            yield f"{product.name} stands in two places"
        if product.height > shelf.height:
            yield f"{product.name} is too high for {shelf.name}"
        facings[each.product] += each.facings
        rows[each.shelf].append((each.start, each.start + length(parameters, each)))
    for product, number in zip(parameters.products, facings.values(), strict=True):
        if not product.facings_min <= number <= product.facings_max:
            yield f"{product.name} has {number} facings"
    for row, spans in rows.items():
        spans.sort()
        if spans[0][0] < 0 or spans[-1][1] > parameters.shelves[row].length:
            yield f"{parameters.shelves[row].name} is too short"
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            yield f"products overlap on {parameters.shelves[row].name}"


def most_worth(parameters: Parameters) -> int:
    """Return points, times SCALE, that no layout exceeds: each product at its best, at no cost."""
    best = 0
    for product in parameters.products:
        options = [
            worth(product.value, shelf.weight, max(room))
            for shelf in parameters.shelves
            if (room := parameters.room(product, shelf))
        ]
        best += max(options, default=0)
    return best
