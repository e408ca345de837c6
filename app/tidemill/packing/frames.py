"""Predict from a DataFrame with a row for each model and date, and return a row for each."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_dtype

from tidemill.errors import InvalidInput
from tidemill.packing.queries import DATES, FIRST_YEAR, KEY, LAST_YEAR, Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.packing.arrays import Ints
    from tidemill.packing.models import PackedModels
    from tidemill.packing.queries import Options

ERROR = "error"
BOUNDS = "trend_lower", "trend_upper", "yhat_lower", "yhat_upper"


def predict(models: PackedModels, frame: pd.DataFrame, options: Options) -> pd.DataFrame:
    """Return forecasts for the rows of a frame, with the frame's index.

    The columns are `model_key`, `ds`, those of the forecasts, and `error`, which is empty unless
    the row has no forecast. There are `trend` and `yhat`, and their bounds if `options` has
    samples, even if no row has a forecast. All rows of a model are one query.

    Raises:
        InvalidInput: The frame lacks `model_key` or `ds`, or has two columns of one name.

    """
    if missing := {KEY, DATES} - {*frame.columns}:
        raise InvalidInput(f"the table has no column {min(missing)!r}")
    if not frame.columns.is_unique:
        raise InvalidInput(
            f"the table has two columns {frame.columns[frame.columns.duplicated()][0]!r}"
        )
    errors = np.full(len(frame), "", dtype=object)
    times = _times(frame[DATES], errors)
    wrong = errors != ""
    columns = {
        str(name): pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
        for name in frame.columns.drop([KEY, DATES])
    }
    keys = frame[KEY].astype(str).to_numpy()
    good = np.flatnonzero(~wrong)
    always = ("trend", "yhat", *(BOUNDS if options.samples else ()))
    found = {name: np.full(len(frame), np.nan) for name in always}

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
    # A bad row must not cost the model's other rows their forecasts: find it, and ask without it.
    for rows in failed:
        if 1 < len(rows) <= options.most_dates:
            errors[rows] = ""
            bad = ask(rows[[index]] for index in range(len(rows)))
            left = np.setdiff1d(rows, [row for each in bad for row in each])
            ask([left] if len(left) else [])
    head = {KEY: frame[KEY].to_numpy(), DATES: times.astype("datetime64[ns]")}
    head[DATES][wrong] = np.datetime64("NaT")
    return pd.DataFrame({**head, **found, ERROR: errors}, index=frame.index)


def _times(dates: pd.Series[Any], errors: np.ndarray[Any, Any]) -> Ints:
    """Return nanoseconds since 1970-01-01; note what is no date, or has a time zone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            parsed = pd.to_datetime(dates, errors="coerce", format="ISO8601")
    except (ValueError, FutureWarning):  # some have a time zone
        parsed = dates.map(partial(pd.to_datetime, errors="coerce", format="ISO8601")).astype(
            object
        )
    if not is_datetime64_dtype(parsed):  # all or some have a time zone
        zoned = parsed.map(lambda each: getattr(each, "tzinfo", None) is not None).to_numpy(bool)
        errors[zoned] = f"the date in {DATES!r} has a time zone; models only know local times"
        parsed = pd.to_datetime(parsed.astype(object).mask(zoned), errors="coerce")
    lost = parsed.isna().to_numpy()
    errors[lost & (errors == "")] = f"there is no date in {DATES!r}, such as 2026-01-31"
    far = ~lost & ~parsed.dt.year.between(FIRST_YEAR, LAST_YEAR).to_numpy()
    errors[far] = f"the date in {DATES!r} is not in the years from {FIRST_YEAR} to {LAST_YEAR}"
    times: Ints = parsed.mask(lost | far, pd.Timestamp(0)).to_numpy("M8[ns]").astype(np.int64)
    return times
