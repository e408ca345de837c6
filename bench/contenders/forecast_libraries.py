"""Forecast all stores with statsforecast and mlforecast, and print what that takes, as JSON.

`python -m bench.contenders.forecast_libraries STORES`, in the environment of these packages. Their
models are others than Prophet's, so that only the cost of forecasting can be compared.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import lightgbm
import pandas as pd
from mlforecast import MLForecast
from mlforecast.utils import PredictionIntervals
from statsforecast import StatsForecast
from statsforecast.models import MSTL

from examples.forecasts import sales

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS, LEVEL, LAGS = 3, [80], [1, 2, 4]


def least(run: Callable[[], Any]) -> float:
    """Return the seconds of the quickest run; the first ones may compile."""
    took = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


def measure(frame: pd.DataFrame, plan: pd.DataFrame) -> list[list[Any]]:
    """Return a row for each package: name, seconds to fit and predict, with intervals, bytes."""
    stores, weeks = frame["unique_id"].nunique(), sales.AHEAD
    start = time.perf_counter()
    series = StatsForecast(models=[MSTL(season_length=52)], freq="W-SUN")
    series.fit(frame.drop(columns="price"))
    fitted = time.perf_counter() - start
    rows = [
        [
            "statsforecast, MSTL, one process",
            fitted,
            least(lambda: series.predict(h=weeks)),
            least(lambda: series.predict(h=weeks, level=LEVEL)),
            len(pickle.dumps(series)) / stores,
        ]
    ]
    start = time.perf_counter()
    boosted = MLForecast(
        models=[lightgbm.LGBMRegressor(verbosity=-1, n_jobs=1)],
        freq="W-SUN",
        lags=LAGS,
        date_features=["dayofyear"],
    )
    intervals = PredictionIntervals(n_windows=2, h=weeks)
    boosted.fit(frame, static_features=[], prediction_intervals=intervals)
    fitted = time.perf_counter() - start
    rows.append(
        [
            "mlforecast, one LightGBM for all stores",
            fitted,
            least(lambda: boosted.predict(h=weeks, X_df=plan)),
            least(lambda: boosted.predict(h=weeks, X_df=plan, level=LEVEL)),
            len(pickle.dumps(boosted)) / stores,
        ]
    )
    return rows


def main() -> None:
    """Measure, and print it."""
    warnings.simplefilter("ignore")
    numbers = range(int(sys.argv[1]))
    frame = pd.concat([sales.history(each).assign(unique_id=sales.key(each)) for each in numbers])
    plan = pd.concat([sales.plan().assign(unique_id=sales.key(each)) for each in numbers])
    json.dump(measure(frame, plan), sys.stdout)


if __name__ == "__main__":
    main()
