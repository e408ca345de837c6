"""Transactions that time out in seconds: Python imports this where its folder is on PYTHONPATH.

The points of `faults/hook`, which would be the process's `sitecustomize`, are there too.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import confluent_kafka

runpy.run_path(str(Path(__file__).parents[4] / "faults" / "hook" / "sitecustomize.py"))
TIMEOUT_MS = 2_000


class Producer(confluent_kafka.Producer):
    """A producer whose transactions the broker soon gives up."""

    def __init__(self, options: dict[str, Any], *args: object, **named: object) -> None:
        """Change the one option."""
        super().__init__({**options, "transaction.timeout.ms": TIMEOUT_MS}, *args, **named)


confluent_kafka.Producer = Producer
