"""A model that says how likely a payment is a fraud."""

from __future__ import annotations

import json
import math
from typing import Any


class Risk:
    """Compare a payment with what is usual for the customer."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return a probability for each payment, a JSON object with the customer's features."""
        return [json.dumps(round(risk(json.loads(text)), 3)) for text in inputs]


def risk(payment: dict[str, Any]) -> float:
    """Return the probability for one payment."""
    times_usual = payment["amount"] / payment["usual"]
    abroad = payment["country"] != payment["home"]
    return 1 / (1 + math.exp(3 - times_usual - 2 * abroad))
