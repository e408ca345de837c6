"""Fill the shelves greedily: the baseline that the solver starts from and must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.shelf_layout.layout import Placement, score, worth

if TYPE_CHECKING:
    from examples.shelf_layout.parameters import Parameters

Places = dict[int, tuple[int, int]]  # the shelf and the facings of a product


def greedy(parameters: Parameters) -> list[Placement] | None:
    """Return a layout, or None if this simple way does not place every product that it must.

    First each product that must stand gets its fewest facings, the longest first. Then the
    facing that adds most per mm is added, again and again. At last each shelf is sorted by group.
    """
    free = [shelf.length for shelf in parameters.shelves]
    places: Places = {}
    order = sorted(
        (n for n, product in enumerate(parameters.products) if product.facings_min),
        key=lambda n: -parameters.products[n].length * parameters.products[n].facings_min,
    )
    for n in order:
        product = parameters.products[n]
        needed = product.length * product.facings_min
        rows = [
            row
            for row, shelf in enumerate(parameters.shelves)
            if parameters.room(product, shelf) and free[row] >= needed
        ]
        if not rows:
            return None
        best = max(rows, key=lambda row: parameters.shelves[row].weight)
        places[n] = best, product.facings_min
        free[best] -= needed
    while step := _best_step(parameters, free, places):
        n, row, number = step
        places[n] = row, number
        free[row] -= parameters.products[n].length
    # A group may cost more than it is worth: leave it out if that is allowed.
    for group in parameters.groups:
        rest = {n: each for n, each in places.items() if parameters.products[n].group != group}
        must = any(parameters.products[n].facings_min for n in places.keys() - rest.keys())
        with_group, without = _in_order(parameters, places), _in_order(parameters, rest)
        if not must and score(parameters, without) > score(parameters, with_group):
            places = rest
    return _in_order(parameters, places)


def _best_step(
    parameters: Parameters, free: list[int], places: Places
) -> tuple[int, int, int] | None:
    """Return the product, shelf and new facings that add most per mm; None if none fits."""
    best, most = None, 0.0
    for n, product in enumerate(parameters.products):
        for row, shelf in enumerate(parameters.shelves):
            at, now = places.get(n, (row, 0))
            if at != row or product.length > free[row]:
                continue
            if now + 1 not in parameters.room(product, shelf):
                continue
            more = worth(product.value, shelf.weight, now + 1)
            gain = (more - worth(product.value, shelf.weight, now)) / product.length
            if gain > most:
                best, most = (n, row, now + 1), gain
    return best


def _in_order(parameters: Parameters, places: Places) -> list[Placement]:
    """Return the placements from left to right, sorted by group on each shelf."""
    groups = parameters.groups
    used = [0] * len(parameters.shelves)
    placements = []
    for n in sorted(places, key=lambda n: groups.index(parameters.products[n].group)):
        row, number = places[n]
        placements.append(Placement(product=n, shelf=row, start=used[row], facings=number))
        used[row] += parameters.products[n].length * number
    return placements
