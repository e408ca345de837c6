"""Compute the features of dates, which all models of a template share, and add regressors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemill.packing.prophet.country import other_holidays
from tidemill.packing.prophet.template import DAY_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.packing.arrays import Floats, Ints
    from tidemill.packing.prophet.template import Seasonality, Template


def calendar_features(template: Template, dates: Ints) -> Floats:
    """Return the features of seasonalities and holidays, of shape [features, dates].

    `dates` are nanoseconds since 1970-01-01. Rows for regressors are left at 0.

    Raises:
        CalendarEnded: A date is outside of the calendar of a country that the template contains,
            and the package `holidays` is not installed.

    """
    features = np.zeros((template.features, len(dates)))
    row = 0
    for seasonality in template.seasonalities:
        fourier(seasonality, dates, features[row : row + 2 * seasonality.order])
        row += 2 * seasonality.order
    days = dates // DAY_NS
    others = other_holidays(template.country, days)
    for holiday in template.holidays:
        own = [*holiday.days, *others.get(holiday.name.removesuffix("_delim_+0"), ())]
        features[row] = np.isin(days, np.array(own, dtype=np.int64))
        row += 1
    return features


def fourier(seasonality: Seasonality, dates: Ints, out: Floats) -> None:
    """Write sine and cosine of each multiple of the frequency, in turn, into rows."""
    turns = np.pi * 2 * (dates / 1_000_000_000 / (24 * 60 * 60))
    for index in range(seasonality.order):
        angle = (index + 1) / seasonality.period * turns
        np.sin(angle, out=out[2 * index])
        np.cos(angle, out=out[2 * index + 1])


def with_regressors(
    template: Template, calendar: Floats, values: Sequence[Floats], scales: Floats
) -> Floats:
    """Return the features of each model, of shape [models, dates, features].

    `values` has an array of shape [models, dates] for each regressor, and `scales`, of shape
    [models, 2 x regressors], its mean and standard deviation. The memory has Prophet's order, in
    which a feature's dates are neighbours: with another order, the sums of products would be
    rounded differently.
    """
    if not template.regressors:
        return calendar.T[None]
    features = np.repeat(calendar[None], len(scales), axis=0)
    first = template.features - len(template.regressors)
    for index, value in enumerate(values):
        mean, deviation = scales[:, 2 * index, None], scales[:, 2 * index + 1, None]
        features[:, first + index] = (value - mean) / deviation
    return features.transpose(0, 2, 1)
