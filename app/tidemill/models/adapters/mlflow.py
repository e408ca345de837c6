"""Predict with a model that MLflow has logged or saved."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill import extras
from tidemill.errors import UnusableEntry
from tidemill.inference.schema_sample import sample_of_schema
from tidemill.models import outputs, signature, tables
from tidemill.models.adapters import mlflow_artifact, mlflow_table, mlflow_trust
from tidemill.models.uri import URI

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Mlflow:
    """Predict with an MLflow model that has the flavour `python_function`, as nearly all have.

    The model's signature gives the schemas of inputs and outputs, and the types of the table or the
    arrays that the model gets. Without a signature, it gets a table with the types of the batch.
    """

    def __init__(  # noqa: PLR0917 - entries give them by name
        self,
        artifact: str,
        trust: str | None = None,
        device: str | None = None,
        tracking_uri: str | None = None,
        registry_uri: str | None = None,
        params: Mapping[str, Any] | None = None,
        method: str | None = None,
        trusted: Sequence[str] = (),
    ) -> None:
        """Load the model.

        Args:
            artifact: `models:/name/version`, `models:/name@alias`, `runs:/id/path`, another URI
                that MLflow can download, or a local folder with an MLmodel file.
            trust: `pickle` allows models that can run code of their own when they are loaded.
            device: `cpu` or `cuda`, for the flavours that MLflow loads for a device.
            tracking_uri: The tracking server; by default that of MLFLOW_TRACKING_URI.
            registry_uri: The model registry, if it is not on the tracking server.
            params: Parameters of the prediction, which the signature must have.
            method: A method of the model itself to call instead, such as `predict_proba`.
            trusted: The types that skops may load besides those that it trusts by itself.

        Raises:
            UnusableEntry: There is no such model, it is not trusted, or an option does not suit it.
            ConnectionError: The server does not answer, or refuses to.

        """
        folder = Path(artifact)
        if URI.match(artifact):
            # The model may read from the copy later. A process that is killed removes nothing, but
            # the folder for temporary files of the pool's processes goes with the pool.
            copy = Path(tempfile.mkdtemp(prefix="tidemill-mlflow-"))
            weakref.finalize(self, _remove, copy, os.getpid())
            folder = mlflow_artifact.download(artifact, copy, tracking_uri, registry_uri)
        mlmodel = mlflow_artifact.read_mlmodel(folder, artifact)
        flavors, contract = mlmodel["flavors"], mlmodel.get("signature")
        _check_params(contract, params or {})
        if trust == "pickle":
            self._predict = _pyfunc(folder, params, method, device, may_unpickle=True)
        elif mlflow_trust.is_skops(flavors):
            from tidemill.models.adapters.sklearn import load_skops  # noqa: PLC0415 - another extra

            # MLflow would let the model itself say which types skops may load.
            estimator = load_skops(folder / flavors["sklearn"]["pickled_model"], trusted)
            named = method or flavors["python_function"].get("predict_fn", "predict")
            self._predict = _method(estimator, named, params)
        else:
            mlflow_trust.check(folder, flavors)
            self._predict = _pyfunc(folder, params, method, device, may_unpickle=False)
        self._inputs = signature.specs(contract, "inputs")
        self._outputs = signature.specs(contract, "outputs")
        self.input_schema = signature.input_schema(contract)
        self.output_schema = signature.output_schema(contract) if method is None else None
        example = mlflow_artifact.input_example(folder)
        if example is None and self.input_schema is not None:
            example = sample_of_schema(self.input_schema)
        self.sample = None if example is None else msgspec.json.encode(example).decode()

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the model's output for each input."""
        rows = tables.decode(inputs)
        table = mlflow_table.build(self._inputs, rows) if self._inputs else tables.frame(rows)
        return outputs.encode(mlflow_table.rows(self._outputs, self._predict(table)))


def _pyfunc(
    folder: Path,
    params: Mapping[str, Any] | None,
    method: str | None,
    device: str | None,
    *,
    may_unpickle: bool,
) -> Callable[[Any], Any]:
    """Load a model with MLflow; return what predicts."""
    with extras.required():
        import mlflow.pyfunc  # noqa: PLC0415 - it takes two seconds
    with mlflow_artifact.environment(
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION=str(may_unpickle).lower(),
        MLFLOW_DEFAULT_PREDICTION_DEVICE=device,
    ):
        model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    if method is not None:
        return _method(model.get_raw_model(), method, params)
    if model.metadata.signature is not None:
        # Otherwise MLflow would check and convert the table once more, column by column.
        model.metadata.signature.inputs = None
    return partial(model.predict, params=params)


def _method(model: Any, name: str, params: Mapping[str, Any] | None) -> Callable[[Any], Any]:  # noqa: ANN401 - any class
    """Return a method of a model.

    Raises:
        UnusableEntry: The model has no such method.

    """
    if not callable(getattr(model, name, None)):
        raise UnusableEntry(
            "options.method",
            f"{type(model).__name__} has no method {name}",
            "Name a method that takes the same input as predict, such as predict_proba.",
        )
    return partial(getattr(model, name), **(params or {}))


def _check_params(contract: Mapping[str, Any] | None, params: Mapping[str, Any]) -> None:
    """Refuse parameters that the signature does not have, which MLflow would only ignore."""
    known = [spec["name"] for spec in signature.specs(contract, "params")]
    if unknown := [name for name in params if name not in known]:
        raise UnusableEntry(
            "options.params",
            f"the signature has no parameter {', '.join(unknown)}",
            f"Its parameters are: {', '.join(known) or 'none'}.",
        )


def _remove(folder: Path, owner: int) -> None:
    """Remove a folder at the end of the process that made it, not of its forks."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
