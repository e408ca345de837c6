"""A model for the jobs that the campaign kills: cheap, and with a failpoint."""

from __future__ import annotations

import json
import sys
import time

from faults.failpoints import IN_PREDICT


class Cheap:
    """Answer in capitals after some time for each input; raise if an input contains `raise`."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Take the time for one input."""
        self._seconds = seconds

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input; first reach the failpoint, if the campaign's hook is there."""
        reach = getattr(sys.modules.get("sitecustomize"), "reach", None)
        if reach:
            reach(IN_PREDICT)
        time.sleep(self._seconds * len(inputs))
        if any("raise" in text for text in inputs):
            raise ValueError("asked to raise")
        return [json.dumps(text.upper()) for text in inputs]
