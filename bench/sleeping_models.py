"""A model that takes time but no CPU, so that two cores can run many workers."""

from __future__ import annotations

import time


class SleepingModel:
    """Sleep for each input, and for each of its characters; answer `null`."""

    def __init__(self, seconds: float = 0.0, per_character: float = 0.0) -> None:
        """Take the seconds for an input and for a character."""
        self._seconds = seconds
        self._per_character = per_character

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        time.sleep(sum(self._seconds + self._per_character * len(text) for text in inputs))
        return ["null"] * len(inputs)
