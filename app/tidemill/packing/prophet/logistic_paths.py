"""Sample how logistic trends may go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidemill.packing.arrays import Floats


def logistic_paths(  # noqa: PLR0917 - the numbers of one model
    shifts: Floats,
    t: Floats,
    cap: Floats,
    step: float,
    k: float,
    m: float,
    delta: Floats,
    changepoints: Floats,
) -> Floats:
    """Return how the logistic trend of one model deviates from its mean, [samples, times].

    The trend is followed from the beginning of the history, because each change of the rate needs
    an adjustment of the offset that depends on all changes before it.
    """
    total, before, offset = 0.0, k, m
    for time, change in _past_changes(delta, changepoints, step):
        total += change
        rate = total + k
        if change and rate:  # Prophet takes a rate of 0 for no change
            offset += (time - offset) * (1 - before / rate)
            before = rate
    totals = np.concatenate([np.full((len(shifts), 1), total), shifts], axis=1).cumsum(axis=1)
    rates = totals[:, 1:] + k
    befores, offsets = np.full(len(shifts), before), np.full(len(shifts), offset)
    every = np.empty_like(shifts)
    for index, time in enumerate(t):
        afters = np.where(
            (shifts[:, index] != 0) & (rates[:, index] != 0), rates[:, index], befores
        )
        every[:, index] = offsets = offsets + (time - offsets) * (1 - befores / afters)
        befores = afters
    paths = cap / (1 + np.exp(-rates * (t - every)))
    deviations: Floats = paths - paths.mean(axis=0)
    return deviations


def _past_changes(delta: Floats, changepoints: Floats, step: float) -> list[tuple[float, float]]:
    """Return when the rate changes in the history, and by how much, as Prophet samples it.

    A change happens at the next step. Of several between two steps the last one counts. There may
    be billions of steps, so they are not listed.
    """
    last = math.ceil((1 + step) / step) - 1
    changes: dict[int, float] = {}
    for at, change in zip(changepoints.tolist(), delta.tolist(), strict=True):
        after = max(0, int(at / step) - 1)
        while after * step <= at:  # rounding may be off by one
            after += 1
        changes[min(after, last)] = change  # Prophet fails at the history's very end
    return [(index * step, changes[index]) for index in sorted(changes)]
