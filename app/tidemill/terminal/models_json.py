"""Describe models as JSON documents. The values of options that look secret are masked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.errors import TidemillError
from tidemill.models.adapters import class_path
from tidemill.models.uri import redact
from tidemill.terminal.escape import printable_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output
    from tidemill.inference.route import Route, Variant
    from tidemill.models.trial import Trial

MASK = "***"
# `tokenizer` and `max_tokens` are no secrets.
SECRET = re.compile(
    r"secret|passw|credential|token(?!i[sz]|s$)|(access|account|api|private)[._-]?key",
    re.IGNORECASE,
)


def line(document: object) -> str:
    """Return a document as one line of JSON."""
    return printable_json(msgspec.json.encode(document).decode())


def summary(route: Route, variant: Variant) -> dict[str, Any]:
    """Return what a list has about one model."""
    return {
        "model": variant.spec.id,
        "name": variant.spec.name,
        "version": variant.spec.version,
        "adapter": variant.spec.adapter,
        "route": route.name,
        "match": route.match,
        "path": route.path,
        **_share(route, variant),
    }


def full(route: Route, variants: Sequence[Variant]) -> dict[str, Any]:
    """Return everything about a route and some of its models."""
    return {
        "route": route.name,
        "match": route.match,
        "path": route.path,
        "split_by": route.split_by if route.is_split else None,
        "salt": route.salt if route.is_split else None,
        "models": [_share(route, each) | _description(each.spec) for each in variants],
    }


def _share(route: Route, variant: Variant) -> dict[str, Any]:
    if not route.is_split:
        return {"variant": None, "weight": None}
    return {"variant": variant.name, "weight": variant.weight}


def _description(spec: ModelSpec) -> dict[str, Any]:
    return {
        "model": spec.id,
        "adapter": spec.adapter,
        "class": class_path(spec.adapter),
        "options": masked(spec.options),
        "artifact": masked(spec.artifact),
        "device": spec.device,
        "trust": spec.trust,
        "payload": spec.payload,
        "input": "text" if spec.is_text else "JSON",
        "id_field": spec.id_field,
        "echo": spec.echo,
        "result": spec.result,
        "sample": spec.sample,
        "limits": spec.limits,
        "schema": spec.schema,
    }


def masked(value: Any, key: str = "") -> Any:  # noqa: ANN401 - whatever YAML has
    """Replace each value that may be a secret, because of its key or because it is in a URI."""
    match value:
        case dict():
            return {name: masked(inner, f"{key}.{name}") for name, inner in value.items()}
        case list():
            return [masked(item, key) for item in value]
        case None | bool():
            return value
    if SECRET.search(key):
        return MASK
    return redact(value) if isinstance(value, str) else value


def trial(spec: ModelSpec, result: Trial | TidemillError) -> dict[str, Any]:
    """Return the result of a trial: the figures and the output, or the error."""
    if isinstance(result, TidemillError):
        return {"model": spec.id, "ok": False, "error": error(result)}
    return {
        "model": spec.id,
        "ok": True,
        "load_seconds": round(result.load_seconds, 6),
        "sample_seconds": round(result.sample_seconds, 6),
        "memory_bytes": result.memory or None,
        "output": msgspec.Raw(result.output.encode()),
    }


def answer(route: Route, variant: Variant, output: Output) -> dict[str, Any]:
    """Return a model's output for one input, or the error."""
    start, end = output.span
    document = {
        "model": variant.spec.id,
        "variant": variant.name if route.is_split else None,
        "seconds": round(end - start, 6),
    }
    if isinstance(output.result, TidemillError):
        return document | {"error": error(output.result)}
    return document | {"output": msgspec.Raw(output.result.encode())}


def error(problem: TidemillError) -> dict[str, Any]:
    """Return an error's class, its message and what to do."""
    return {
        "class": type(problem).__name__,
        "message": problem.message,
        "hint": problem.hint or None,
    }
