"""Forecast with many models of one template at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidemill.packing.prophet import intervals, trend
from tidemill.packing.prophet.features import calendar_features, with_regressors
from tidemill.packing.prophet.template import ADDITIVE, MULTIPLICATIVE, join_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidemill.packing.arrays import Floats, Ints
    from tidemill.packing.prophet.intervals import Sampling
    from tidemill.packing.prophet.template import Template

# How many numbers an array may have while many models are evaluated: 16 MiB.
CHUNK = 2**21


class Parts(NamedTuple):
    """What forecasts are made of: arrays of shape [models, dates].

    `t` is the time as a part of the history's duration, and `cap` is in its units.
    """

    t: Floats
    cap: Floats | None
    trend: Floats
    terms: dict[str, Floats]


def forecast(
    template: Template,
    rows: Floats,
    dates: Ints,
    columns: Mapping[str, Floats],
    *,
    sampling: Sampling | None = None,
    components: bool = False,
) -> dict[str, Floats]:
    """Return the columns of forecasts by the names of Prophet: each of shape [models, dates].

    `rows` has shape [models, numbers]. `dates`, which must ascend, are nanoseconds since 1970-01-01
    and apply to all models. `columns` has an array [models, dates] of finite numbers for each
    regressor, and for `cap` and `floor` if the template needs them; each cap exceeds its floor.

    There are `yhat` and `trend`; with `sampling` also `yhat_lower`, `yhat_upper`, `trend_lower` and
    `trend_upper`; with `components` also each component.

    Raises:
        CalendarEnded: The template lacks a holiday calendar for one of the dates.

    """
    calendar = calendar_features(template, dates)
    names = (*template.components,) if components else (ADDITIVE, MULTIPLICATIVE)
    result: dict[str, Floats] = {}
    for part in _chunks(len(rows), len(dates) * max(template.changepoints, template.features)):
        own = {name: values[part] for name, values in columns.items()}
        parts = _evaluate(template, rows[part], dates, own, calendar=calendar, names=names)
        factor = 1 + parts.terms[MULTIPLICATIVE]
        found = {"trend": parts.trend, "yhat": parts.trend * factor + parts.terms[ADDITIVE]}
        if sampling is not None:
            margins = intervals.margins(
                template, rows[part], t=parts.t, cap=parts.cap, factor=factor, sampling=sampling
            )
            found |= {
                f"{name}_{side}": found[name] + margin for (name, side), margin in margins.items()
            }
        for name, values in (found | (parts.terms if components else {})).items():
            if name not in result:
                result[name] = np.empty((len(rows), len(dates)))
            result[name][part] = values
    return result


def _chunks(models: int, numbers: int) -> Iterator[slice]:
    size = max(1, CHUNK // max(1, numbers))
    return (slice(start, min(start + size, models)) for start in range(0, models, size))


def _evaluate(
    template: Template,
    rows: Floats,
    dates: Ints,
    columns: Mapping[str, Floats],
    *,
    calendar: Floats,
    names: tuple[str, ...],
) -> Parts:
    layout = template.layout
    start, scale = join_ns(rows[:, layout.start]), join_ns(rows[:, layout.scale])
    t = (dates - start[:, None]) / scale[:, None]
    y_scale = rows[:, layout.y_scale, None]
    floor = np.zeros_like(t)
    if template.needs_floor:
        floor = columns["floor"]
    elif template.minmax:
        floor = np.broadcast_to(rows[:, layout.y_min, None], t.shape)
    k, m, delta = rows[:, layout.k], rows[:, layout.m], rows[:, layout.delta]
    cap = None
    match template.growth:
        case "linear":
            own = trend.linear(t, k, m, delta, rows[:, layout.changepoints])
        case "logistic":
            cap = (columns["cap"] - floor) / y_scale
            own = trend.logistic(t, k, m, delta, rows[:, layout.changepoints], cap)
        case "flat":
            own = trend.flat(t, m)
    values = [columns[name] for name in template.regressors]
    features = with_regressors(template, calendar, values, rows[:, layout.regressors])
    beta = rows[:, layout.beta]
    terms = {}
    for name in names:
        term = np.matmul(features, (beta * template.masks[name])[:, :, None])[:, :, 0]
        terms[name] = term * y_scale if name in template.scaled else term
    return Parts(t, cap, own * y_scale + floor, terms)
