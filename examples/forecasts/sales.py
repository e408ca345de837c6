"""Make up the weekly sales of stores, and plans for their prices in the year that follows."""

from __future__ import annotations

import numpy as np
import pandas as pd

WEEKS, AHEAD = 156, 52
FIRST = "2023-01-01"
PRICE, ELASTICITY = 10.0, -1.5
DATES = pd.date_range(FIRST, periods=WEEKS + AHEAD, freq="W-SUN")


def key(number: int) -> str:
    """Return the name of a store."""
    return f"store-{number:04}"


def number(key: str) -> int:
    """Return the number of a store."""
    return int(key.removeprefix("store-"))


def history(store: int) -> pd.DataFrame:
    """Return three years of a store's sales and prices.

    Each store has its own size, trend, season and noise. In some weeks its price is reduced.
    """
    random = np.random.default_rng(store)
    weeks = np.arange(WEEKS)
    price = PRICE * (1 - random.choice([0.0, 0.1, 0.2], WEEKS, p=[0.8, 0.1, 0.1]))
    size = np.exp(random.normal(7, 0.4))
    trend = 1 + random.normal(0, 0.001) * weeks
    season = 1 + random.uniform(0.1, 0.3) * np.sin(2 * np.pi * (weeks / 52 + random.random()))
    sales = size * trend * season * (price / PRICE) ** ELASTICITY
    noisy = sales * random.normal(1, 0.05, WEEKS)
    return pd.DataFrame({"ds": DATES[:WEEKS], "y": noisy.round(), "price": price})


def plan(reduced: int = 0) -> pd.DataFrame:
    """Return the weeks to forecast, with the price in each; it is reduced by 20% in the first."""
    price = np.full(AHEAD, PRICE)
    price[:reduced] *= 0.8
    return pd.DataFrame({"ds": DATES[WEEKS:], "price": price})
