"""A model whose batches wait for one another, so that they run at the same time or not at all."""

from __future__ import annotations

import time
from pathlib import Path

from obedient_model import Obedient


class Relay(Obedient):
    """Answer as Obedient does, but texts that begin with `relay` wait for the next batch."""

    def __init__(self, log: str, count: int, keep: str = "") -> None:
        """Take a file in which each such text becomes a byte, and how many of them there are."""
        super().__init__(keep)
        self._log = Path(log)
        self._count = count

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer once another process has begun a batch after this one, or all texts have begun."""
        with self._log.open("ab", buffering=0) as log:
            log.write(b"." * sum(text.startswith("relay") for text in inputs))
            end = log.tell()
        while self._log.stat().st_size <= end < self._count:
            time.sleep(0.005)
        return super().predict_all(inputs)
