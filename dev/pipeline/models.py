"""Entries of models.yaml for the tests' models."""

from __future__ import annotations

from typing import Any


def model_entry(adapter: str, *, name: str = "test") -> dict[str, Any]:
    """Return the entry of a model in test/doubles/example_models.py; it reads English text."""
    return {
        "name": name,
        "version": "1",
        "adapter": f"example_models:{adapter}",
        "match": {"lang": "en"},
        "payload": "text",
        "result": "answer",
        "sample": "a sample",
    }
