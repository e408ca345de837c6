"""Define the model of MLflow that `tidemill.packing.pyfunc` saves (a "model from code")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.pyfunc.model import PythonModel

from tidemill.packing import frames
from tidemill.packing.models import PackedModels
from tidemill.packing.queries import Options

if TYPE_CHECKING:
    import pandas as pd

TYPES = ("forecast", "native")


class PackedForecasts(PythonModel):
    """Forecasts for a table with the columns `model_key`, `ds`, and what the models need.

    There is a row of answers for each row, in the same order. A row without a forecast has NaN, and
    the reason in the column `error`.
    """

    def load_context(self, context: Any) -> None:  # noqa: ANN401 - MLflow's
        """Open and verify the artifact."""
        self._models = PackedModels.open(context.artifacts["packed"])

    def predict(
        self,
        context: Any,  # noqa: ANN401, ARG002 - MLflow's
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return the forecast of each row."""
        asked = params or {}
        kind = asked.get("inference_type", TYPES[0])
        if kind not in TYPES:
            raise ValueError(f"inference_type must be one of {', '.join(TYPES)}, not {kind!r}")
        options = Options(
            samples=asked.get("samples", 0), seed=asked.get("seed", 0), components=kind == "native"
        )
        return frames.predict(self._models, model_input, options)


mlflow.models.set_model(PackedForecasts())
