"""Split a fitted model of Prophet into its template and its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemill.errors import Unpackable
from tidemill.packing.prophet.country import FIRST_YEAR, LAST_YEAR, holidays_in
from tidemill.packing.prophet.template import DAY_NS, Holiday, Seasonality, Template, split_ns

if TYPE_CHECKING:
    from tidemill.packing.arrays import Floats


def unsupported(model: Any) -> str | None:  # noqa: ANN401 - Prophet has types of its own
    """Return why a model cannot be split; None if it can.

    Prophet itself can still predict with such a model.
    """
    if model.history is None:
        return "it is not fitted"
    if model.mcmc_samples or model.params["k"].shape[0] != 1:
        return "it was fitted with MCMC samples"
    if any(each["condition_name"] for each in model.seasonalities.values()):
        return "a seasonality has a condition"
    if any(each.get("predictor_spec") is not None for each in model.extra_regressors.values()):
        return "a regressor has a predictor of its own"
    return None


def split(key: str, model: Any) -> tuple[Template, Floats]:  # noqa: ANN401
    """Return the template of a fitted model, and its row.

    Raises:
        Unpackable: The model is not supported.

    """
    if reason := unsupported(model):
        raise Unpackable(key, reason)
    components = {
        str(name): tuple(np.flatnonzero(column.to_numpy()).tolist())
        for name, column in model.train_component_cols.items()
    }
    template = Template(
        growth=model.growth,
        seasonalities=tuple(
            Seasonality(float(each["period"]), int(each["fourier_order"]))
            for each in model.seasonalities.values()
        ),
        holidays=_holidays(model),
        country=model.country_holidays,
        regressors=tuple(model.extra_regressors),
        components=components,
        scaled=frozenset(components) & frozenset(model.component_modes["additive"]),
        needs_floor=bool(model.logistic_floor),
        minmax=model.scaling == "minmax",
        interval_width=float(model.interval_width),
        changepoints=len(model.changepoints_t),
    )
    return template, _row(model, template)


def _row(model: Any, template: Template) -> Floats:  # noqa: ANN401
    layout, parameters = template.layout, model.params
    row = np.empty(layout.width)
    row[layout.start] = split_ns(model.start.as_unit("ns").value)
    row[layout.scale] = split_ns(model.t_scale.as_unit("ns").value)
    row[layout.step] = np.diff(model.history["t"]).mean() if len(model.history) > 1 else np.nan
    row[layout.y_scale], row[layout.y_min] = model.y_scale, model.y_min
    for name, column in (("k", layout.k), ("m", layout.m), ("sigma_obs", layout.sigma)):
        row[column] = parameters[name].item()
    regressors = model.extra_regressors.values()
    row[layout.regressors] = [each[name] for each in regressors for name in ("mu", "std")]
    row[layout.changepoints] = model.changepoints_t
    row[layout.delta] = parameters["delta"].reshape(-1)
    row[layout.beta] = parameters["beta"].reshape(-1)
    return row


def _holidays(model: Any) -> tuple[Holiday, ...]:  # noqa: ANN401
    """Return the features of holidays in their order, as Prophet makes them."""
    if model.train_holiday_names is None:
        return ()
    names = {*model.train_holiday_names}
    days: dict[str, set[int]] = {f"{name}_delim_+0": set() for name in names}
    if model.holidays is not None:
        days = {}
        for row in model.holidays.itertuples():
            if row.holiday not in names:
                continue
            day = int(pd.Timestamp(row.ds).as_unit("ns").value // DAY_NS)
            window = [getattr(row, f"{each}_window", 0) for each in ("lower", "upper")]
            lower, upper = (0, 0) if pd.isna(window).any() else map(int, window)
            for offset in range(lower, upper + 1):
                sign = "+" if offset >= 0 else "-"
                days.setdefault(f"{row.holiday}_delim_{sign}{abs(offset)}", set()).add(day + offset)
    if model.country_holidays is not None:
        country = holidays_in(model.country_holidays, range(FIRST_YEAR, LAST_YEAR + 1))
        for name in names & country.keys():
            days.setdefault(f"{name}_delim_+0", set()).update(country[name])
    return tuple(Holiday(name, tuple(sorted(days[name]))) for name in sorted(days))
