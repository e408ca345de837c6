"""Keep models that are no rows of numbers as Prophet's own JSON, for Prophet to predict with."""

from __future__ import annotations

import importlib
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tidemill import extras
from tidemill.errors import InvalidInput, Unpackable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tidemill.packing.kinds import Forecast
    from tidemill.packing.queries import Options, Query

# How many models stay loaded; each is about a megabyte.
LOADED = 64
BOUNDS = "_lower", "_upper"


class _Template(msgspec.Struct):
    columns: tuple[str, ...]


class ProphetJson:
    """Models that were fitted with MCMC samples, or have seasonalities with conditions."""

    def pack(self, key: str, model: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - Prophet's
        """Return the names of the columns, and the compressed JSON of a fitted model.

        Raises:
            Unpackable: It is no fitted model of Prophet, or its JSON would lack the predictor of a
                regressor.

        """
        from prophet.serialize import model_to_json  # noqa: PLC0415 - only these models need it

        if reason := unfit(model):
            raise Unpackable(key, reason)
        if any(each.get("predictor_spec") is not None for each in model.extra_regressors.values()):
            raise Unpackable(key, "a regressor has a predictor of its own, which its JSON lacks")
        template = msgspec.json.encode({"columns": _columns(model)})
        return template, zlib.compress(model_to_json(model).encode(), 9)

    def check(self) -> None:
        """Check that Prophet is installed.

        Raises:
            MissingExtra: It is not.

        """
        with extras.required():
            importlib.import_module("prophet.serialize")

    def columns(self, template: bytes) -> tuple[str, ...]:
        """Return the regressors, conditions, and `cap` and `floor` if they are needed."""
        return msgspec.json.decode(template, type=_Template).columns

    def predict(
        self, template: bytes, items: Sequence[bytes], queries: Sequence[Query], options: Options
    ) -> list[Forecast | InvalidInput]:
        """Return the forecast of each query, one after the other.

        Raises:
            MissingExtra: Prophet is not installed.

        """
        del template
        with extras.required():
            return [_predict(*each, options) for each in zip(items, queries, strict=True)]


def unfit(model: Any) -> str | None:  # noqa: ANN401 - any model
    """Return why something is no fitted model of Prophet; None if it is one."""
    if not hasattr(model, "train_component_cols"):
        return "it is no model of Prophet"
    return "it is not fitted" if model.history is None else None


@lru_cache(maxsize=LOADED)
def load(item: bytes) -> Any:  # noqa: ANN401 - Prophet's
    """Return the model of an item."""
    from prophet.serialize import model_from_json  # noqa: PLC0415

    return model_from_json(zlib.decompress(item).decode())


def _predict(item: bytes, query: Query, options: Options) -> Forecast | InvalidInput:
    model = load(item)
    model.uncertainty_samples = options.samples
    order = np.argsort(query.dates, kind="stable")
    try:
        frame = to_frame(query, model)
        np.random.seed(options.seed)  # noqa: NPY002 - the generator that Prophet uses
        found = model.predict(frame)
    except InvalidInput as error:
        return error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return InvalidInput(str(error))
    back = np.argsort(order, kind="stable")
    terms = {*model.train_component_cols.columns}
    wanted = {
        name
        for name in found.columns
        if name not in {"ds", "cap", "floor"}
        and (options.components or name.removesuffix("_lower").removesuffix("_upper") not in terms)
    }
    return {name: found[name].to_numpy(np.float64)[back] for name in sorted(wanted)}


def to_frame(query: Query, model: Any) -> pd.DataFrame:  # noqa: ANN401 - Prophet's
    """Return the frame from which a model predicts.

    Raises:
        InvalidInput: A column is missing, or has values that are not finite, or a condition is
            neither true nor false.

    """
    import pandas as pd  # noqa: PLC0415

    columns = {name: query.column(name) for name in _columns(model)}
    for name in _conditions(model):
        if not np.isin(columns[name], (0, 1)).all():
            raise InvalidInput(f"the field {name!r} must be true or false")
    frame = pd.DataFrame({"ds": query.dates.astype("datetime64[ns]"), **columns})
    return frame.astype(dict.fromkeys(_conditions(model), bool))


def _columns(model: Any) -> tuple[str, ...]:  # noqa: ANN401 - Prophet's
    names = [*model.extra_regressors, *_conditions(model)]
    names += ["cap"] * (model.growth == "logistic") + ["floor"] * model.logistic_floor
    return tuple(names)


def _conditions(model: Any) -> list[str]:  # noqa: ANN401 - Prophet's
    return sorted({each["condition_name"] for each in model.seasonalities.values()} - {None})
