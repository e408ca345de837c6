"""Find names that a schema does not have: a misspelt one would pass for the default of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    Schema = dict[str, Any]
    Path = tuple[str, ...]


def closed(schema: Schema) -> Schema:
    """Return a schema whose objects have no other names than its own, unless it allows them."""
    definitions = {name: _closed(each) for name, each in schema.get("$defs", {}).items()}
    return _closed(schema) | ({"$defs": definitions} if definitions else {})


def unknown(value: object, schema: Schema) -> Path | None:
    """Return the path of a name in a JSON value that a closed schema does not have, if any."""
    return _unknown(value, schema, schema.get("$defs", {}))


def _closed(schema: Schema) -> Schema:
    is_open = "properties" not in schema or schema.get("additionalProperties")
    return schema if is_open else schema | {"additionalProperties": False}


def _unknown(value: object, schema: object, definitions: dict[str, Schema]) -> Path | None:
    if not isinstance(schema, dict) or not isinstance(value, dict | list):
        return None
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return _unknown(value, definitions.get(name), definitions)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        kind = "object" if isinstance(value, dict) else "array"
        fit = [each for each in choices if _kind(each, definitions) in {kind, None}]
        found = [_unknown(value, each, definitions) for each in fit]
        return None if None in found else max(found, key=lambda path: len(path or ()), default=None)
    if isinstance(value, list):
        first: list[object] = schema.get("prefixItems", [])
        rest = schema.get("items")
        return _first(
            (str(at), each, first[at] if at < len(first) else rest, definitions)
            for at, each in enumerate(value)
        )
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties")
    for name in value:
        if others is False and name not in properties:
            return (name,)
    return _first(
        (name, each, properties.get(name, others), definitions) for name, each in value.items()
    )


def _first(parts: Iterable[tuple[str, object, object, dict[str, Schema]]]) -> Path | None:
    """Return the first path that is found in the parts of a value."""
    for name, value, schema, definitions in parts:
        if (path := _unknown(value, schema, definitions)) is not None:
            return (name, *path)
    return None


def _kind(schema: Schema, definitions: dict[str, Schema]) -> object:
    """Return the type that a choice says it has."""
    if "$ref" in schema:
        schema = definitions.get(schema["$ref"].removeprefix("#/$defs/"), {})
    return schema.get("type")
