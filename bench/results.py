"""bench/results.json: what was measured, with the machine, its load and the day."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faults import results_log

FILE = Path(__file__).with_name("results.json")


def read() -> dict[str, Any]:
    """Return what was measured, by the name of the part; throughput is a list of rounds."""
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


def keep(part: str, found: Any) -> None:  # noqa: ANN401 - each part has a form of its own
    """Keep what a part found, in the place of what it found before."""
    _write(read() | {part: {"found": found, **_circumstances()}})


def keep_round(found: dict[str, Any]) -> None:
    """Keep a round of throughput, beside those before."""
    content = read()
    rounds = content.get("throughput", [])
    _write(content | {"throughput": [*rounds, {**found, **_circumstances()}]})


def _circumstances() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": results_log.machine(),
        "load": round(os.getloadavg()[1], 1),
    }


def _write(content: dict[str, Any]) -> None:
    """Write it whole: a crash leaves the old file or the new one."""
    draft = FILE.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
    draft.replace(FILE)
