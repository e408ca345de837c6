"""Keep measurements in bench/results.json, with the machine, its load and the date."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faults import results_log

FILE = Path(__file__).with_name("results.json")


def read() -> dict[str, Any]:
    """Return the measurements of each part; throughput and skew are lists of rounds."""
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


def replace(part: str, measured: Any) -> None:  # noqa: ANN401 - differs between parts
    """Replace the measurements of a part."""
    _write(read() | {part: {"found": measured, **_circumstances()}})


def add_round(part: str, measured: dict[str, Any]) -> None:
    """Add a round to a part."""
    content = read()
    rounds = content.get(part, [])
    _write(content | {part: [*rounds, {**measured, **_circumstances()}]})


def _circumstances() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": results_log.machine(),
        "load": round(os.getloadavg()[1], 1),
    }


def _write(content: dict[str, Any]) -> None:
    """Replace the file atomically."""
    draft = FILE.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
    draft.replace(FILE)
