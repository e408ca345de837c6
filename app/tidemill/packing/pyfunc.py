"""Save an artifact as a model of MLflow, for `mlflow models serve`, Spark and Databricks."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from tidemill.packing.models import PackedModels
from tidemill.packing.queries import DATES, KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a request may ask for.
PARAMS = ParamSchema(
    [
        ParamSpec("samples", DataType.long, 0),
        ParamSpec("seed", DataType.long, 0),
        # `native` returns every column that Prophet returns, `forecast` only the forecast itself.
        ParamSpec("inference_type", DataType.string, "forecast"),
    ]
)
# What the model's code imports.
PACKAGES = ("msgspec", "numpy", "pandas")
ARTIFACT = "packed"


def save(path: Path | str, artifact: Path | str, **arguments: Any) -> None:  # noqa: ANN401
    """Save an artifact as a model of MLflow, which needs neither Tidemill nor Prophet installed.

    `arguments` are others of `mlflow.pyfunc.save_model`.

    Raises:
        ArtifactUnreadable, ArtifactTooNew, ArtifactDamaged, UntrustedPickle: The artifact cannot
            be used.

    """
    models = PackedModels.open(artifact)
    mlflow.pyfunc.save_model(path=path, **_arguments(models, artifact) | arguments)


def log(name: str, artifact: Path | str, **arguments: Any) -> Any:  # noqa: ANN401
    """Log an artifact as a model of the active run of MLflow; see `save`.

    `arguments` are others of `mlflow.pyfunc.log_model`, such as `registered_model_name`.
    """
    models = PackedModels.open(artifact)
    return mlflow.pyfunc.log_model(name=name, **_arguments(models, artifact) | arguments)


def _arguments(models: PackedModels, artifact: Path | str) -> dict[str, Any]:
    package = Path(__file__).parents[1]
    return {
        "python_model": str(package / "packing" / "pyfunc_model.py"),
        "artifacts": {ARTIFACT: str(artifact)},
        "code_paths": [str(package)],
        "signature": ModelSignature(inputs=_schema(models.columns), params=PARAMS),
        "pip_requirements": [f"{name}=={version(name)}" for name in PACKAGES],
    }


def _schema(columns: Iterable[str]) -> Schema:
    numbers = [ColSpec(DataType.double, name, required=False) for name in sorted(columns)]
    named = [ColSpec(DataType.string, KEY), ColSpec(DataType.string, DATES)]
    return Schema([*named, *numbers])
