"""Sample the intervals of forecasts, with the draws that Prophet would make for each model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidemill.packing.prophet.logistic_paths import logistic_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill.packing.arrays import Floats
    from tidemill.packing.prophet.template import Template

# How many samples are sorted at a time: 8 MiB, which fits into caches.
CHUNK = 2**20
EPSILON = 1e-8  # Prophet adds it to the scale of future changes


class Sampling(NamedTuple):
    """How many samples to draw for each model, with the seed that every model gets."""

    samples: int = 1000
    seed: int = 0


class Future(NamedTuple):
    """What models share whose trends may change in the same way.

    Attributes:
        times: How many dates are after the history.
        likelihood: The probability that the trend changes between two dates.
        step: The mean time between two dates, as a part of the history's duration.

    """

    times: int
    likelihood: float
    step: float


class Draws:
    """Standard draws, in the order in which Prophet makes them after `numpy.random.seed(seed)`.

    All models get the same draws, so their errors are not independent: never add up the samples of
    several models.
    """

    def __init__(self, sampling: Sampling, dates: int, times: int) -> None:
        """Draw for some dates; the trend may change at the last `times` of them."""
        random = np.random.RandomState(sampling.seed)
        size = sampling.samples, times
        self._uniform, self._laplace = np.zeros(size), np.zeros(size)
        if times:
            self._uniform, self._laplace = random.uniform(size=size), random.laplace(0, 1, size)
        self.normal = np.ascontiguousarray(random.normal(0, 1, (sampling.samples, dates)).T)

    def shifts(self, likelihood: float) -> Floats:
        """Return changes of the rate, of mean size 1, of shape [samples, times]."""
        changes = self._laplace * (self._uniform < likelihood)
        before = np.hstack([np.zeros((len(changes), 1)), changes])[:, :-1]
        return (before + changes) / 2


def margins(
    template: Template,
    rows: Floats,
    *,
    t: Floats,
    cap: Floats | None,
    factor: Floats,
    sampling: Sampling,
) -> dict[tuple[str, str], Floats]:
    """Return what to add to `yhat` and `trend` for their `lower` and `upper` bounds.

    `t` is the time of each model and date as a part of the history's duration, `cap` is scaled as
    the history was, and `factor` is what multiplies the trend. All have shape [models, dates].
    """
    layout = template.layout
    tails = (1 - template.interval_width) / 2, (1 + template.interval_width) / 2
    result = {(name, side): np.zeros_like(t) for name in ("yhat", "trend") for side in SIDES}
    for models, draws, path, scale in _paths(template, rows, t, cap, sampling):
        unit = rows[models, layout.y_scale, None]
        samples = draws.normal * rows[models, layout.sigma, None, None]
        if path is not None:
            samples += path * (scale[:, None] * factor[models])[:, :, None]
            for side, quantile in zip(SIDES, quantiles(path.copy(), tails), strict=True):
                result["trend", side][models] = unit * (scale[:, None] * quantile)
        for side, quantile in zip(SIDES, quantiles(samples, tails), strict=True):
            result["yhat", side][models] = unit * quantile
    return result


SIDES = "lower", "upper"


def _paths(
    template: Template, rows: Floats, t: Floats, cap: Floats | None, sampling: Sampling
) -> Iterator[tuple[Sequence[int], Draws, Floats | None, Floats]]:
    """Yield some models, their draws, and how their trends deviate: [dates, samples], and a scale.

    There is no deviation if the trend is flat, or all dates are in the history, or are the same.
    """
    layout = template.layout
    groups: dict[Future, list[int]] = {}
    for model, row in enumerate(rows):
        groups.setdefault(_future(template, t[model], row[layout.step]), []).append(model)
    draws: dict[int, Draws] = {}
    size = max(1, CHUNK // (t.shape[1] * sampling.samples))
    for future, models in groups.items():
        own = draws.get(future.times)
        if own is None:
            own = draws[future.times] = Draws(sampling, t.shape[1], future.times)
        path = None
        change = np.mean(np.abs(rows[models, layout.delta]), axis=1) + EPSILON
        if future.step and cap is not None:
            for model, scale in zip(models, change, strict=True):
                path = logistic_paths(
                    own.shifts(future.likelihood) * scale,
                    t[model, -future.times :],
                    cap[model, -future.times :],
                    future.step,
                    rows[model, layout.k],
                    rows[model, layout.m],
                    rows[model, layout.delta],
                    rows[model, layout.changepoints],
                )
                yield [model], own, _padded(path, t.shape[1]), np.ones(1)
            continue
        if future.step:
            shifts = own.shifts(future.likelihood)
            path = shifts.cumsum(axis=1).cumsum(axis=1) * future.step
            path = _padded(path, t.shape[1])
        for start in range(0, len(models), size):
            part = slice(start, start + size)
            yield models[part], own, path, change[part]


def _future(template: Template, t: Floats, step: float) -> Future:
    later = t[t > 1]
    if not len(later) or template.growth == "flat":
        return Future(0, 0.0, 0.0)
    width = float(np.diff(later).mean()) if len(later) > 1 else step
    return Future(len(later), template.changepoints * width, width)


def _padded(path: Floats, dates: int) -> Floats:
    """Return paths of shape [dates, samples]; they do not deviate during the history."""
    past = np.zeros((dates - path.shape[1], len(path)))
    return np.concatenate([past, path.T])


def quantiles(samples: Floats, probabilities: Sequence[float]) -> list[Floats]:
    """Return quantiles over the last dimension, interpolated linearly; reorder the samples."""
    positions = [(samples.shape[-1] - 1) * each for each in probabilities]
    floors = [int(each) for each in positions]
    ceilings = [min(each + 1, samples.shape[-1] - 1) for each in floors]
    samples.partition(sorted({*floors, *ceilings}), axis=-1)
    return [
        samples[..., floor] + (samples[..., ceiling] - samples[..., floor]) * (position - floor)
        for position, floor, ceiling in zip(positions, floors, ceilings, strict=True)
    ]
