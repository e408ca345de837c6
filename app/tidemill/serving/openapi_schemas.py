"""The JSON Schemas of the OpenAPI document: problems, requests and answers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tidemill.serving import rows

PROBLEM = {
    "description": "The request was not answered; RFC 9457 with a hint.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
TEXT: dict[str, Any] = {"type": "string"}
_TENSORS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": TEXT,
            "datatype": TEXT,
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array", "items": {}},
        },
    },
}
SCHEMAS = {
    "Problem": {
        "type": "object",
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "hint": TEXT,
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
            "model": TEXT,
            "version": TEXT,
            "variant": TEXT,
        },
    },
    "Inference": {
        "type": "object",
        "properties": {
            "model_name": TEXT,
            "model_version": TEXT,
            "parameters": {"type": "object"},
            "outputs": _TENSORS,
        },
    },
}


class Input(NamedTuple):
    """What a model takes: its schema, whether it takes text, and an example if there is one."""

    schema: dict[str, Any]
    is_text: bool
    examples: tuple[Any, ...] = ()


def plain_body(each: Input, variants: list[str]) -> dict[str, Any]:
    """Return the body of a plain request; `variants` are those of an A/B test."""
    inputs = {"type": "array", "items": each.schema}
    errors = {
        "enum": ["first", "each"],
        "description": "What to answer if all inputs fail: the first error, or each one's.",
    }
    body = _body({"inputs": inputs, **_choice(variants), "errors": errors}, [*each.examples])
    body["content"]["application/json"]["schema"]["additionalProperties"] = False
    return body


def v2_body(each: Input, variants: list[str]) -> dict[str, Any]:
    """Return the body of a V2 request with one tensor, of texts or of JSON texts."""
    data, examples = each.schema, [*each.examples]
    if not each.is_text:
        data = {**TEXT, "contentMediaType": "application/json", "contentSchema": each.schema}
        examples = [json.dumps(example, ensure_ascii=False) for example in examples]
    name = rows.INPUT
    while name in rows.fields_of(each.schema):  # a tensor with a field's name would be a column
        name += "_"
    tensor = {"name": name, "datatype": "BYTES", "shape": [1], "data": examples}
    properties: dict[str, Any] = {
        "name": {"const": name},
        "datatype": {"const": "BYTES"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array", "items": data},
    }
    item = {"type": "object", "required": [*properties], "properties": properties}
    fields: dict[str, Any] = {"inputs": {"type": "array", "items": item}}
    if variants:
        fields["parameters"] = {"type": "object", "properties": _choice(variants)}
    return _body(fields, [tensor] if examples else [])


def answer(schema: str) -> dict[str, Any]:
    """Return the response that a schema describes."""
    return {
        "description": "An output for each input, in the same order.",
        "content": _content({"$ref": f"#/components/schemas/{schema}"}),
    }


def _choice(variants: list[str]) -> dict[str, Any]:
    """Return what chooses the variant of an A/B test."""
    if not variants:
        return {}
    key = "What decides the variant, such as a user's id: the same key, the same variant."
    return {
        "key": {**TEXT, "description": key},
        "variant": {**TEXT, "enum": variants, "description": "Force a variant."},
    }


def _body(properties: dict[str, Any], inputs: list[Any]) -> dict[str, Any]:
    content = _content({"type": "object", "required": ["inputs"], "properties": properties})
    if inputs:
        content["application/json"]["example"] = {"inputs": inputs}
    return {"required": True, "content": content}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
