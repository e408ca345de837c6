"""Fit models of Prophet of all kinds, and make dates for them."""

from __future__ import annotations

import logging
import warnings
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)  # it misses plotly
    from prophet import Prophet

for name in ("cmdstanpy", "prophet"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

ROWS = 120


class Shape(NamedTuple):
    """What a model has."""

    growth: str
    freq: str
    mode: str
    holidays: str
    regressors: int
    scaling: str
    floor: bool


SHAPES = [
    Shape(*each)
    for each in product(
        ("linear", "logistic", "flat"),
        ("D", "W", "h"),
        ("additive", "multiplicative"),
        ("none", "country", "both"),
        (0, 3),
        ("absmax", "minmax"),
        (False, True),
    )
    if each[0] == "logistic" or not each[-1]
]
STARTS = ("2019-01-06", "1999-12-28", "2015-03-29", "2016-02-27")


class Fitted(NamedTuple):
    """A fitted model, its history, and what it has."""

    model: Any
    history: pd.DataFrame
    shape: Shape

    def future(self, start: int, rows: int, seed: int = 0) -> pd.DataFrame:
        """Return an input; it starts some steps after the end of the history, or before it."""
        last = self.history["ds"].max()
        offset = pd.tseries.frequencies.to_offset(self.shape.freq)
        assert offset is not None
        dates = pd.date_range(last + start * offset, periods=rows, freq=self.shape.freq)
        return self.columns(dates, seed)

    def columns(self, dates: Any, seed: int = 0) -> pd.DataFrame:  # noqa: ANN401 - any dates
        """Return an input with some dates, and all columns that the model needs."""
        frame = pd.DataFrame({"ds": dates})
        add_regressors(frame, self.shape.regressors, np.random.default_rng(seed))
        if self.shape.growth == "logistic":
            frame["cap"] = 90.0 + np.arange(len(frame)) / 100
        if self.shape.floor:
            frame["floor"] = 1.0
        return frame


def add_regressors(frame: pd.DataFrame, count: int, random: np.random.Generator) -> None:
    """Add columns; the second one has only 0 and 1, which Prophet does not scale."""
    for number in range(count):
        size = len(frame)
        binary, normal = random.integers(0, 2, size), random.normal(5, 2, size)
        frame[f"price{number}"] = binary if number == 1 else normal


def fit(number: int, **changes: Any) -> Fitted:  # noqa: ANN401 - of Shape
    """Fit a model; the numbers from 0 on go through all shapes, with other histories each time."""
    shape = SHAPES[number % len(SHAPES)]._replace(**changes)
    random = np.random.default_rng(number)
    steps = np.arange(ROWS)
    history = pd.DataFrame(
        {
            "ds": pd.date_range(STARTS[number % 4], periods=ROWS, freq=shape.freq),
            "y": 30
            + steps * random.normal(0, 0.05)
            + 3 * np.sin(steps / 7)
            + random.normal(0, 1, ROWS),
        }
    )
    history["y"] += random.normal(0, 1, ROWS)
    add_regressors(history, shape.regressors, random)
    if shape.growth == "logistic":
        history["cap"] = 90.0 + steps / 100
    if shape.floor:
        history["floor"] = 1.0
    model = new_model(number, shape, history)
    model.fit(history)
    return Fitted(model, history, shape)


def new_model(number: int, shape: Shape, history: pd.DataFrame) -> Any:  # noqa: ANN401 - Prophet
    """Return a model that is not fitted."""
    own = None
    if shape.holidays == "both":
        dates = history["ds"].dt.normalize()
        own = pd.DataFrame(
            {
                "holiday": ["sale", "sale", "fair", "once"],
                "ds": [dates[10], dates[60], dates[5], dates[30]],
                "lower_window": [-1, -1, 0, 0],
                "upper_window": [1, 1, 2, 0],
            }
        )
    # At the end of a history, a changepoint of a logistic trend lets Prophet's sampling fail.
    widest = 0.9 if shape.growth == "logistic" else 1.0
    make: Any = Prophet
    model = make(
        growth=shape.growth,
        n_changepoints=(25, 0, 1, 7)[number % 4],
        changepoint_range=(0.8, 0.5, widest)[number % 3],
        seasonality_mode=shape.mode,
        holidays=own,
        holidays_mode="additive" if number % 5 == 0 else None,
        scaling=shape.scaling,
        interval_width=(0.8, 0.95)[number % 2],
        yearly_seasonality=("auto", 3, False)[number % 3],
    )
    if shape.holidays != "none":
        model.add_country_holidays(("US", "FR", "DE")[number % 3])
    if number % 7 == 0:
        model.add_seasonality("monthly", 30.5, 3, mode="multiplicative")
    for regressor in range(shape.regressors):
        mode = "multiplicative" if regressor == 2 else None
        model.add_regressor(f"price{regressor}", mode=mode, standardize=number % 4 > 0)
    return model
