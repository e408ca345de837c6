"""The shipped models keep the contract that the kit checks."""

from __future__ import annotations

from dev import ROOT
from tidemill.testing import ModelContract


class TestShipped(ModelContract):
    """English and French entities, exactly equal everywhere."""

    models = ROOT / "models.yaml"
    inputs = (
        "Angela Merkel besuchte Paris, London and Rome.",
        "Apple bought a start-up in Paris for $1 billion last Tuesday.",
        "🌊 Zoë Müller est partie de Genève pour New York lundi.",
    )
