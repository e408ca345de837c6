"""Decide from its MLmodel file whether loading an MLflow model only reads data.

MLflow unpickles most models, and a pickle can run any code. So can the code that a model may bring
along. Flavours that are not known to do neither count as unsafe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tidemill.errors import UnusableEntry

if TYPE_CHECKING:
    from pathlib import Path

Flavors: TypeAlias = Mapping[str, Mapping[str, Any]]

# By the module with which MLflow loads a model: whether it only reads data, which the sources of
# MLflow 3.17 show.
_READS_DATA: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "mlflow.catboost": lambda _: True,
    "mlflow.lightgbm": lambda flavor: flavor.get("model_class") == "lightgbm.basic.Booster",
    "mlflow.onnx": lambda _: True,
    "mlflow.prophet": lambda _: True,  # JSON
    "mlflow.xgboost": lambda flavor: str(flavor.get("model_class")).startswith("xgboost."),
}


def is_skops(flavors: Flavors) -> bool:
    """Return whether it is an estimator of scikit-learn that skops has written."""
    return (
        flavors["python_function"]["loader_module"] == "mlflow.sklearn"
        and flavors.get("sklearn", {}).get("serialization_format") == "skops"
    )


def check(folder: Path, flavors: Flavors) -> None:
    """Refuse a model that can run code of its own when MLflow loads it.

    Raises:
        UnusableEntry: It can, or it is not known whether it can.

    """
    pyfunc = flavors["python_function"]
    loader = pyfunc["loader_module"]
    name = loader.removeprefix("mlflow.")
    flavor = flavors.get(name, {})
    # Some loaders read the flavours again, in the folder of this file.
    data = folder / pyfunc.get("data", "MLmodel")
    is_plain = data.parent == folder and data.is_file() and pyfunc.get("code") is None
    if is_plain and loader in _READS_DATA and _READS_DATA[loader](flavor):
        return
    shown = "python_function" if name.startswith("pyfunc") else name
    form = flavor.get("serialization_format", "pickle")
    if pyfunc.get("code") is not None or "model_code_path" in pyfunc:
        form = "with Python code"
    raise UnusableEntry(
        "artifact",
        f"the model has the flavour {shown} ({form}), which can run any code when it is loaded",
        "If you trust the model's authors, add the line `trust: pickle` to the entry. Otherwise "
        "log it again in a format without pickle, such as skops or ONNX.",
    )
