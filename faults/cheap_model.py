"""A model for jobs that are killed: it costs next to nothing, and long enough to be hit."""

from __future__ import annotations

import json
import time


class Cheap:
    """Answer with the text in capitals, after a while for each input; raise where asked to."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        time.sleep(self._seconds * len(inputs))
        if any("raise" in text for text in inputs):
            raise ValueError("asked to raise")
        return [json.dumps(text.upper()) for text in inputs]
