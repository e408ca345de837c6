"""A model that does nothing."""

from __future__ import annotations

import json


class Noop:
    """Return each text."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the inputs as JSON."""
        return [json.dumps(text) for text in inputs]
