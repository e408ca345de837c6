"""Predict from a DataFrame with a row for each model and date, and return a row for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemill.errors import InvalidInput
from tidemill.packing.queries import DATES, KEY, Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.packing.arrays import Ints
    from tidemill.packing.models import PackedModels
    from tidemill.packing.queries import Options

ERROR = "error"


def predict(models: PackedModels, frame: pd.DataFrame, options: Options) -> pd.DataFrame:
    """Return forecasts for the rows of a frame, with the frame's index.

    The columns are `model_key`, `ds`, those of the forecasts, and `error`, which is empty unless
    the row has no forecast. All rows of a model are one query.

    Raises:
        InvalidInput: The frame lacks `model_key` or `ds`.

    """
    if missing := {KEY, DATES} - {*frame.columns}:
        raise InvalidInput(f"the table has no column {min(missing)!r}")
    errors = np.full(len(frame), "", dtype=object)
    times = _times(frame[DATES], errors)
    wrong = errors != ""
    columns = {
        str(name): pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
        for name in frame.columns.drop([KEY, DATES])
    }
    keys = frame[KEY].astype(str).to_numpy()
    good = np.flatnonzero(~wrong)
    found: dict[str, np.ndarray[Any, Any]] = {}

    def ask(groups: Iterable[Ints]) -> list[Ints]:
        """Fill in the forecasts of groups of rows; return the groups that failed."""
        groups = [*groups]
        queries = [
            Query(keys[rows[0]], times[rows], {name: each[rows] for name, each in columns.items()})
            for rows in groups
        ]
        failed = []
        for rows, forecast in zip(groups, models.predict(queries, options), strict=True):
            if isinstance(forecast, InvalidInput):
                errors[rows] = str(forecast)
                failed.append(rows)
                continue
            for name, values in forecast.items():
                found.setdefault(name, np.full(len(frame), np.nan))[rows] = values
        return failed

    groups = pd.Series(good).groupby(keys[good], sort=False)
    failed = ask(each.to_numpy() for _, each in groups)
    # A bad row must not cost the model's other rows their forecasts.
    again = [rows[[index]] for rows in failed if len(rows) > 1 for index in range(len(rows))]
    for rows in again:
        errors[rows] = ""
    ask(again)
    head = {KEY: frame[KEY].to_numpy(), DATES: times.astype("datetime64[ns]")}
    head[DATES][wrong] = np.datetime64("NaT")
    return pd.DataFrame({**head, **found, ERROR: errors}, index=frame.index)


def _times(dates: pd.Series[Any], errors: np.ndarray[Any, Any]) -> Ints:
    """Return nanoseconds since 1970-01-01; note what is no date, or has a time zone."""
    try:
        parsed = pd.to_datetime(dates, errors="coerce", format="ISO8601")
    except ValueError:  # several time zones
        parsed = pd.Series(pd.NaT, index=dates.index)
        dates = dates.astype(str)
    if parsed.dt.tz is not None:
        errors[:] = f"the dates in {DATES!r} have a time zone; models only know local times"
        return np.zeros(len(dates), np.int64)
    errors[parsed.isna()] = f"there is no date in {DATES!r}, such as 2026-01-31"
    times: Ints = parsed.fillna(pd.Timestamp(0)).to_numpy("datetime64[ns]").astype(np.int64)
    return times
