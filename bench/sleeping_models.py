"""Models that cost time and no computing: two cores can carry many workers that wait."""

from __future__ import annotations

import time


class Waits:
    """Wait for each input, and for each of its characters; then answer nothing."""

    def __init__(self, seconds: float = 0.0, a_character: float = 0.0) -> None:
        """Take the times, in seconds."""
        self._seconds = seconds
        self._a_character = a_character

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        time.sleep(sum(self._seconds + self._a_character * len(text) for text in inputs))
        return ["null"] * len(inputs)
