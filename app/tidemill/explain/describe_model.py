"""Describe what the model did with a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill.errors import InvalidInput, InvalidOutput
from tidemill.inference.checks import input_schema, input_violations
from tidemill.inference.schema import each_violation

if TYPE_CHECKING:
    from tidemill.explain.observation import Observation
    from tidemill.explain.watched_codec import WatchedCodec
    from tidemill.explain.watched_models import Call, WatchedModels
    from tidemill.inference.model import ModelSpec

Document: TypeAlias = "dict[str, Any]"


def model(seen: Observation) -> Document:
    """Describe the model and its calls."""
    codec, models = seen.codec, seen.models
    spec = models.spec
    if spec is None:
        return {}
    return {
        "model": spec.id,
        "adapter": spec.adapter,
        "load": _call(models.loaded),
        "call": _call(models.called),
        "sample": _call(models.sampled),
        "sample_error": models.sample_error and str(models.sample_error),
        "schema": _schema(spec, models),
        "violations": _violations(spec, codec, models),
        "output": models.called and models.called.output,
    }


def _schema(spec: ModelSpec, models: WatchedModels) -> str | None:
    """Return where the schema of the input comes from."""
    if models.model is None or not input_schema(spec, models.model):
        return None
    return "the model's own" if spec.schema is None else "the entry's"


def _violations(spec: ModelSpec, codec: WatchedCodec, models: WatchedModels) -> list[str]:
    """Return how the input or the output violates its schema."""
    error = codec.output and codec.output.result
    if models.model is None:
        return []
    if isinstance(error, InvalidInput) and models.called is None:
        return input_violations(spec, models.model, codec.input or "")
    schema = getattr(models.model, "output_schema", None)
    output = models.called and models.called.output
    if isinstance(error, InvalidOutput) and schema and output:
        return each_violation(schema, output, "output")
    return []


def _call(call: Call | None) -> Document | None:
    if call is None:
        return None
    return {
        "seconds": call.seconds,
        "failed": call.failed,
        "traceback": call.traceback or None,
    }
