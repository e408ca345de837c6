"""Describe the HTTP interface: an OpenAPI document with an example for each model, and a page."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill import __version__
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec
    from tidemill.serving.catalogue import Catalogue
    from tidemill.serving.parts import Parts

# With more models, the document has no examples: each takes a question to the pool.
MAX_EXAMPLES = 500
PROBLEM = {
    "description": "The request was not answered; RFC 9457 with a hint.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
SCHEMAS = {
    "Problem": {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "hint": {"type": "string"},
        },
    },
    "Outputs": {
        "type": "object",
        "properties": {
            "outputs": {
                "type": "array",
                "description": "An output for each input; an object with `error` if it failed.",
                "items": {},
            },
            "model": {"type": "string"},
            "version": {"type": "string"},
            "variant": {"type": "string"},
        },
    },
}


async def document(parts: Parts, catalogue: Catalogue) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of all plain routes."""
    paths = {}
    has_examples = len(catalogue.paths) <= MAX_EXAMPLES
    for path, route in catalogue.paths.items():
        specs = [variant.spec for variant in route.variants]
        default = specs[0].schema or ({"type": "string"} if specs[0].is_text else {})
        example, schema = None, default
        if has_examples:
            example, schema = await _example(parts, specs[0], default)
        paths[path] = {
            "post": {
                "summary": ", ".join(spec.id for spec in specs),
                "requestBody": _body(schema, example, split=route.is_split),
                "responses": {
                    "200": {
                        "description": "An output for each input, in the same order.",
                        "content": _content({"$ref": "#/components/schemas/Outputs"}),
                    },
                    "default": PROBLEM,
                },
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemill",
            "version": __version__,
            "description": "Each model answers under its own path, and under /v2 in the Open "
            "Inference Protocol.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def page(document: dict[str, Any]) -> str:
    """Return an HTML page with each path and a request that can be copied."""
    sections = []
    for path, operations in document["paths"].items():
        content = operations["post"]["requestBody"]["content"]["application/json"]
        example = json.dumps(content.get("example", {"inputs": []}), ensure_ascii=False)
        quoted = example.replace("'", "'\\''")
        sections.append(
            f"<h2>POST {escape(path)}</h2><p>{escape(operations['post']['summary'])}</p>"
            f"<pre>curl http://HOST:PORT{escape(path)} -d '{escape(quoted)}'</pre>"
        )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tidemill</title>'
        "<style>body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "pre{overflow:auto;background:#f3f3f3;color:#111;padding:.6rem}</style>"
        '<h1>Models</h1><p><a href="/openapi.json">OpenAPI document</a></p>'
        f"{''.join(sections)}</html>"
    )


async def _example(
    parts: Parts, spec: ModelSpec, default: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return an example of an input, and the schema of inputs, if the model loads."""
    try:
        described = await parts.service.within(None, parts.models.describe(spec))
    except TidemillError:  # the document is still useful
        return None, default
    sample = described.sample
    if sample is not None and not spec.is_text:
        sample = msgspec.json.decode(sample)
    return sample, described.input_schema or default


def _body(schema: dict[str, Any], example: Any, *, split: bool) -> dict[str, Any]:  # noqa: ANN401
    properties: dict[str, Any] = {"inputs": {"type": "array", "items": schema}}
    if split:
        key = "What decides the variant, such as a user's id: the same key, the same variant."
        properties["key"] = {"type": "string", "description": key}
        properties["variant"] = {"type": "string", "description": "Force a variant."}
    content = _content(
        {
            "type": "object",
            "required": ["inputs"],
            "properties": properties,
            "additionalProperties": False,
        }
    )
    if example is not None:
        content["application/json"]["example"] = {"inputs": [example]}
    return {"required": True, "content": content}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
