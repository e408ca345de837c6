"""Compare a model in its framework with the same model behind the adapters."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import onnx
from mlflow.models import infer_signature

from tidemill.models.adapters.mlflow import Mlflow
from tidemill.models.adapters.onnx import Onnx

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tidemill.inference.model import Model

FEATURES, CLASSES, ROWS = 8, 3, 256


def training_data() -> tuple[Any, Any]:
    """Return the same random features, and classes that depend on them, at each call."""
    features = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
    return features, np.abs(features[:, :CLASSES]).argmax(axis=1)


def compare(
    features: Any,  # noqa: ANN401 - an array
    expected: Any,  # noqa: ANN401 - an array
    export: Callable[[Path], object],
    flavor: ModuleType,
    model: object,
) -> None:
    """Print, as JSON, what each way from a framework to an adapter costs and changes.

    Args:
        features: The inputs.
        expected: The framework's outputs.
        export: Writes the model in ONNX to a path.
        flavor: MLflow's module for the framework.
        model: The model, as MLflow's module takes it.

    """
    common = {
        "signature": infer_signature(features, expected),
        "input_example": features[:2],
        "pip_requirements": [],
    }
    with TemporaryDirectory() as folder:
        graph, own, wrapped = (Path(folder) / name for name in ("model.onnx", "own", "onnx"))
        export(graph)
        flavor.save_model(model, own, **common)
        mlflow.onnx.save_model(onnx.load(graph), wrapped, **common)
        ways: dict[str, tuple[Path, Callable[[], Model]]] = {
            "ONNX": (graph, lambda: Onnx(str(graph))),
            "MLflow": (own, lambda: Mlflow(str(own), trust="pickle")),
            "MLflow, in ONNX": (wrapped, lambda: Mlflow(str(wrapped))),
        }
        inputs = [json.dumps(row) for row in features.tolist()]
        print(json.dumps([measure(way, *ways[way], inputs, expected) for way in ways]))


def measure(
    way: str,
    path: Path,
    load: Callable[[], Model],
    inputs: list[str],
    expected: Any,  # noqa: ANN401 - an array
) -> dict[str, object]:
    """Load a model and predict one batch, the second time against the clock."""
    began = time.perf_counter()
    model = load()
    loaded = time.perf_counter() - began
    model.predict_all(inputs)
    began = time.perf_counter()
    outputs = model.predict_all(inputs)
    took = time.perf_counter() - began
    found = np.array([scores(json.loads(output)) for output in outputs])
    files = [path, *path.rglob("*"), *path.parent.glob(f"{path.name}.data")]
    return {
        "way": way,
        "bytes": sum(file.stat().st_size for file in files if file.is_file()),
        "load_s": loaded,
        "batch_ms": took * 1000,
        "difference": float(np.abs(found - expected).max()),
    }


def scores(output: Any) -> Any:  # noqa: ANN401 - JSON
    """Return an output's scores; MLflow gives the outputs of an ONNX graph by name."""
    return next(iter(output.values())) if isinstance(output, dict) else output
