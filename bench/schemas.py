"""Measure the CPU time that checking messages against a schema takes, beside MLflow's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.environments.environments import python_of
from bench.wide_messages import BATCH, FIELDS, messages, microseconds, schema
from tidemill.inference.schema import violations

if TYPE_CHECKING:
    from rich.console import Console

MLFLOW = Path(__file__).parent / "contenders" / "mlflow_schema.py"


def ours() -> dict[str, list[float]]:
    """Return the µs per message for each number of fields."""
    rows: dict[str, list[float]] = {}
    for fields in FIELDS:
        document, texts = schema(fields), messages(fields)
        assert not any(violations(document, texts))
        bad = [spoil(text) for text in texts]
        assert all(violations(document, bad))
        for name, batch in (
            (f"Tidemill, {BATCH} messages", texts),
            ("Tidemill, one message", texts[:1]),
            (f"Tidemill, {BATCH} messages that violate the schema", bad),
        ):
            took = microseconds(lambda: violations(document, batch), len(batch))  # noqa: B023 - called at once
            rows.setdefault(name, []).append(took)
        took = microseconds(lambda: list(map(msgspec.json.decode, texts)), BATCH)  # noqa: B023 - called at once
        rows.setdefault("of which decoding the JSON", []).append(took)
    return rows


def spoil(text: str) -> str:
    """Return a message whose first field is of the wrong type."""
    fields = json.loads(text)
    return json.dumps({**fields, next(iter(fields)): "far"})


def mlflow() -> dict[str, list[float]]:
    """Return what MLflow takes, in an environment of its own."""
    done = subprocess.run(
        [str(python_of("mlflow")), str(MLFLOW)], stdout=subprocess.PIPE, text=True, check=True
    )
    rows: dict[str, list[float]] = json.loads(done.stdout)
    return rows


def measure(console: Console) -> dict[str, Any]:
    """Return a row for each way to check a message: µs for each number of fields."""
    rows = []
    for name, took in (ours() | mlflow()).items():
        console.print(f"{name}: {', '.join(f'{one:.1f}' for one in took)} µs")
        rows.append([name, *took])
    return {"fields": list(FIELDS), "rows": rows}
