"""ModelSpecs for tests."""

from __future__ import annotations

from typing import Any

from dev.pipeline.models import model_entry
from tidemill.inference.model import ModelSpec


def make_spec(**fields: Any) -> ModelSpec:  # noqa: ANN401 - ModelSpec's fields
    """Return a spec whose adapter does not exist: `make_spec(name="a", match={"lang": "en"})`."""
    small = {"name": "m", "version": "1", "adapter": "x:Y", "sample": "sample", "result": "out"}
    return ModelSpec(**small | fields)


def example_spec(adapter: str, **fields: Any) -> ModelSpec:  # noqa: ANN401 - ModelSpec's fields
    """Return the spec of a model in example_models.py, named after its class."""
    return ModelSpec(**model_entry(adapter, name=adapter.lower()) | fields)
