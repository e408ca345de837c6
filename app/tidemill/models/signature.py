"""Translate the signature of an MLflow model into JSON Schema.

A signature is what an MLmodel file has under `signature`. For the inputs, the outputs and the
parameters it lists columns, or tensors whose first dimension is the batch. A schema describes one
row: one input of a model, or one output.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Schema: TypeAlias = "dict[str, Any]"
# One column or tensor, as in an MLmodel file: {"type": "long", "name": "age", "required": true}.
Spec: TypeAlias = "dict[str, Any]"

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def specs(
    signature: Mapping[str, Any] | None, side: Literal["inputs", "outputs", "params"]
) -> list[Spec]:
    """Return the columns, tensors or parameters of one side of a signature; none if it has none."""
    listed = (signature or {}).get(side) or []
    return json.loads(listed) if isinstance(listed, str) else listed


def input_schema(signature: Mapping[str, Any] | None) -> Schema | None:
    """Return the schema of one input; None if the signature has no inputs.

    A column that is not required may be missing or null. Other fields than the columns are allowed,
    because a message has fields that are not for the model.
    """
    return _row(specs(signature, "inputs"))


def output_schema(signature: Mapping[str, Any] | None) -> Schema | None:
    """Return the schema of one output; None if the signature has no outputs."""
    return _row(specs(signature, "outputs"))


def is_required(spec: Spec) -> bool:
    """Return whether a column must be there; MLflow 1 and early 2 wrote `optional` instead."""
    return bool(spec.get("required", not spec.get("optional")))


def _row(row: list[Spec]) -> Schema | None:
    """Return the schema of one row: an object, or without names one value or an array.

    A single named column may also be the value alone: an entry with one `payload` field gives the
    model that value, and a signature does not tell a Series from a table with one column.
    """
    if not row:
        return None
    if "name" in row[0]:
        schema = _object((spec["name"], spec) for spec in row)
        if len(row) == 1 and row[0]["type"] in _TYPES:
            schema = {"anyOf": [schema, _value(row[0])]}
    elif len(row) == 1:
        schema = _value(row[0])
    else:
        values = [_value(spec) for spec in row]
        schema = {"type": "array", "prefixItems": values}
        schema |= {"minItems": len(row), "maxItems": len(row)}
    return {"$schema": DIALECT, **schema}


def _object(fields: Iterable[tuple[str, Spec]]) -> Schema:
    named = dict(fields)
    return {
        "type": "object",
        "properties": {name: _value(spec) for name, spec in named.items()},
        "required": [name for name, spec in named.items() if is_required(spec)],
    }


def _value(spec: Spec) -> Schema:
    """Return the schema of one value of a column, a property or a tensor."""
    match spec["type"]:
        case "tensor":
            tensor = spec["tensor-spec"]
            return _nested(_element(tensor["dtype"]), tensor["shape"][1:])
        case "array":
            schema: Schema = {"type": "array", "items": _value(spec["items"])}
        case "object":
            schema = _object(spec["properties"].items())
        case "map":
            schema = {"type": "object", "additionalProperties": _value(spec["values"])}
        case kind:
            schema = dict(_TYPES.get(kind, {}))
    if "type" in schema and not is_required(spec):
        schema["type"] = [schema["type"], "null"]
    return schema


def _integer(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


_TYPES: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "integer": _integer(-(2**31), 2**31 - 1),
    "long": _integer(-(2**63), 2**63 - 1),
    "float": {"type": "number"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
}


def _element(dtype: str) -> Schema:
    """Return the schema of one element of a tensor; of any value for types that JSON lacks."""
    if found := re.fullmatch(r"(u?)int(\d+)", dtype):
        bits = int(found[2])
        if found[1]:
            return _integer(0, 2**bits - 1)
        return _integer(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if dtype.startswith("float"):
        return {"type": "number"}
    if dtype == "bool":
        return {"type": "boolean"}
    return {"type": "string"} if dtype.startswith(("str", "<U")) else {}


def _nested(element: Schema, shape: list[int]) -> Schema:
    """Return the schema of nested arrays; a dimension of -1 may have any length."""
    for size in reversed(shape):
        element = {"type": "array", "items": element}
        if size >= 0:
            element |= {"minItems": size, "maxItems": size}
    return element
