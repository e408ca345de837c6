"""Generate a value that a JSON Schema allows."""

from __future__ import annotations

from functools import reduce
from math import inf
from typing import Any, TypeAlias

Schema: TypeAlias = "dict[str, Any]"

FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "email": "a@example.com",
    "time": "00:00:00Z",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Below this depth a value has only what its schema requires, since a schema may refer to itself.
MAX_DEPTH = 8


def sample_of_schema(schema: Schema | bool) -> Any:  # noqa: ANN401, FBT001 - JSON; a schema may be true
    """Return a value that the schema allows, the same at each call.

    A value that the schema itself names comes first: `const`, `default`, the first of `examples` or
    `enum`. Otherwise an object has all its properties, an array one item or as many as it needs,
    and null is the last choice. `$ref` may point into the same schema. The sample may break
    keywords that would take a search, such as `pattern`, `not`, `if` and `uniqueItems`.
    """
    return _sample(schema, schema, 0)


def _sample(schema: Any, root: Any, depth: int) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(schema, dict):
        return None
    schema = _flatten(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    kind = _type(schema)
    if kind == "object":
        properties = schema.get("properties", {})
        optional = properties if depth < MAX_DEPTH else ()
        names = dict.fromkeys([*optional, *schema.get("required", ())])
        return {name: _sample(properties.get(name), root, depth + 1) for name in names}
    if kind == "array":
        return [_sample(item, root, depth + 1) for item in _items(schema, depth)]
    return _scalar(kind, schema)


def _scalar(kind: str, schema: Schema) -> str | float | bool | None:
    match kind:
        case "string":
            return _text(schema)
        case "integer":
            return int(_number(schema, step=max(1, schema.get("multipleOf", 1))))
        case "number":
            return _number(schema, step=schema.get("multipleOf"))
        case "boolean":
            return False
        case _:
            return None


def _flatten(schema: Schema, root: Any) -> Schema:  # noqa: ANN401 - JSON
    """Return one way to meet a schema, without `$ref`, `anyOf`, `oneOf` and `allOf`."""
    parts = [*schema.get("allOf", ())]
    choices = [schema[key] for key in ("anyOf", "oneOf") if key in schema]
    parts += [next((one for one in choice if not _is_null(one)), choice[0]) for choice in choices]
    if "$ref" in schema:
        parts.append(_resolve(schema["$ref"], root))
    combined = ("allOf", "anyOf", "oneOf", "$ref")
    rest = {key: value for key, value in schema.items() if key not in combined}
    return reduce(_both, [_flatten(part, root) for part in parts if part is not True], rest)


def _both(one: Schema, other: Schema) -> Schema:
    """Return a schema that asks for what two schemas ask; the first wins if both have a keyword."""
    both = other | one
    if "properties" in both:
        both["properties"] = other.get("properties", {}) | one.get("properties", {})
    if "required" in both:
        both["required"] = [*one.get("required", ()), *other.get("required", ())]
    return both


def _resolve(reference: str, root: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a JSON pointer such as `#/$defs/Name` points to."""
    for key in reference.split("/")[1:]:
        root = root[key.replace("~1", "/").replace("~0", "~")]
    return root


def _is_null(schema: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(schema, dict) and schema.get("type") == "null"


def _type(schema: Schema) -> str:
    """Return the type of the sample. Without `type`, every keyword of another type allows null."""
    types = schema.get("type", "object" if "properties" in schema else "null")
    if isinstance(types, str):
        return types
    return next((one for one in types if one != "null"), "null")


def _items(schema: Schema, depth: int) -> list[Any]:
    """Return the schemas of an array's items."""
    first = schema.get("prefixItems", [])
    fewest = schema.get("minItems", 0)
    if "items" in schema and depth < MAX_DEPTH:
        fewest = max(fewest, 1)
    count = min(max(len(first), fewest), schema.get("maxItems", inf))
    return [*first, *[schema.get("items")] * int(count - len(first))][: int(count)]


def _text(schema: Schema) -> str:
    if text := FORMATS.get(schema.get("format", "")):
        return text
    shortest: int = max(schema.get("minLength", 0), min(1, schema.get("maxLength", 1)))
    # Four digits are the shortest base64.
    return "a" * (shortest if schema.get("contentEncoding") != "base64" else max(4, shortest))


def _number(schema: Schema, step: float | None) -> float:
    """Return zero, or the allowed number that is nearest to it."""
    above, below = schema.get("exclusiveMinimum", -inf), schema.get("exclusiveMaximum", inf)
    low = max(schema.get("minimum", -inf), above)
    high = min(schema.get("maximum", inf), below)
    near: float = min(max(0, low), high)
    if step is None:
        candidates = [near, near + 1, near - 1, (low + high) / 2]
    else:
        floor, ceiling = near // step, -(-near // step)
        candidates = [n * step for n in (ceiling, floor + 1, floor, ceiling - 1)]
    allowed = (one for one in candidates if low <= one <= high and one not in {above, below})
    return next(allowed, near)
