"""Let transactions time out in seconds; Python imports this if its folder is on PYTHONPATH.

It also sets the failpoints of `faults/hook`, whose `sitecustomize` it replaces.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import confluent_kafka

runpy.run_path(str(Path(__file__).parents[4] / "faults" / "hook" / "sitecustomize.py"))
TIMEOUT_MS = 4_000


class Producer(confluent_kafka.Producer):
    """A producer with a short transaction timeout."""

    def __init__(self, options: dict[str, Any], *args: object, **named: object) -> None:
        """Override the transaction timeout."""
        super().__init__({**options, "transaction.timeout.ms": TIMEOUT_MS}, *args, **named)


vars(confluent_kafka)["Producer"] = Producer
