"""Print the CPU time that MLflow takes to enforce a model's signature, as JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow reads it at import

import pandas as pd
from mlflow.models.utils import _enforce_schema
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from bench.wide_messages import BATCH, FIELDS, messages, microseconds, schema

MLFLOW_TYPES = {
    "number": DataType.double,
    "integer": DataType.long,
    "string": DataType.string,
    "boolean": DataType.boolean,
}


def signature(fields: int) -> Schema:
    """Return the same schema in MLflow's types; a column that may be null is optional there."""
    columns: list[ColSpec | TensorSpec] = []
    for name, field in schema(fields)["properties"].items():
        kinds: Any = field["type"]
        nullable = not isinstance(kinds, str)
        kind = MLFLOW_TYPES[kinds[0] if nullable else kinds]
        columns.append(ColSpec(kind, name, required=not nullable))
    return Schema(columns)


def measure() -> dict[str, list[float]]:
    """Return the µs per message for each number of fields."""
    rows: dict[str, list[float]] = {}
    for fields in FIELDS:
        columns, texts = signature(fields), messages(fields)
        for size, name in ((BATCH, f"{BATCH} rows"), (1, "one row")):
            batch = texts[:size]
            frame = pd.DataFrame([json.loads(text) for text in batch])
            assert _enforce_schema(frame, columns).shape == (size, fields)
            took = microseconds(lambda: _enforce_schema(frame, columns), size)  # noqa: B023 - called at once
            rows.setdefault(f"MLflow, a DataFrame of {name}", []).append(took)
            took = microseconds(
                lambda: _enforce_schema(pd.DataFrame([json.loads(t) for t in batch]), columns),  # noqa: B023 - called at once
                size,
            )
            rows.setdefault(f"MLflow, {name}, with making the DataFrame from JSON", []).append(took)
    return rows


if __name__ == "__main__":
    json.dump(measure(), sys.stdout)
