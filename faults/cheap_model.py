"""A model for the jobs that the campaign kills: cheap, but slow enough to be killed at work."""

from __future__ import annotations

import json
import time


class Cheap:
    """Answer in capitals after some time for each input; raise if an input contains `raise`."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        time.sleep(self._seconds * len(inputs))
        if any("raise" in text for text in inputs):
            raise ValueError("asked to raise")
        return [json.dumps(text.upper()) for text in inputs]
