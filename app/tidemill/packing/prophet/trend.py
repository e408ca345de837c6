"""Compute trends of many models at once, in the order of Prophet's own operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidemill.packing.arrays import Floats


def linear(t: Floats, k: Floats, m: Floats, delta: Floats, changepoints: Floats) -> Floats:
    """Return the piecewise linear trends of models, of shape [models, times].

    `t` has the same shape, `k` (the rate) and `m` (the offset) have shape [models], `delta` (the
    changes of the rate) and `changepoints` (their times) have shape [models, changes]. See Taylor
    and Letham, "Forecasting at Scale", 2018, section 3.1.2.
    """
    past = (changepoints[:, None, :] <= t[:, :, None]) * delta[:, None, :]
    rate = past.sum(axis=2) + k[:, None]
    offset = (past * -changepoints[:, None, :]).sum(axis=2) + m[:, None]
    result: Floats = rate * t + offset
    return result


def logistic(  # noqa: PLR0917 - as `linear`
    t: Floats, k: Floats, m: Floats, delta: Floats, changepoints: Floats, cap: Floats
) -> Floats:
    """Return the logistic trends of models, whose shapes are those of `linear`.

    `cap`, the carrying capacity, has the shape of `t`. See section 3.1.1 there.
    """
    rates = np.concatenate([k[:, None], np.cumsum(delta, axis=1) + k[:, None]], axis=1)
    gamma = np.zeros_like(delta)
    rate, offset = np.repeat(k[:, None], t.shape[1], 1), np.repeat(m[:, None], t.shape[1], 1)
    for index in range(delta.shape[1]):
        at = changepoints[:, index]
        # Without this adjustment of the offset, the trend would jump.
        gamma[:, index] = (at - m - gamma.sum(axis=1)) * (1 - rates[:, index] / rates[:, index + 1])
        past = t >= at[:, None]
        rate = np.where(past, rate + delta[:, index, None], rate)
        offset = np.where(past, offset + gamma[:, index, None], offset)
    result: Floats = cap / (1 + np.exp(-rate * (t - offset)))
    return result


def flat(t: Floats, m: Floats) -> Floats:
    """Return constant trends."""
    return m[:, None] * np.ones_like(t)
