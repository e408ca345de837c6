"""Describe look-ups in the OpenAPI document: two paths for each table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tidemill.serving.http_tables import COLUMNS, PATH
from tidemill.serving.openapi_schemas import PROBLEM, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidemill.store.table import Table

TYPES: Final = {"text": "string", "integer": "integer", "number": "number", "boolean": "boolean"}
# Keys that may not be there: an example must not show anybody's.
EXAMPLES: Final = {"text": "a-key", "integer": 1}
TIME: Final = {**TEXT, "format": "date-time"}
GENERATION: Final = {"type": "integer", "description": "The generation of all rows."}
MAX_KEYS: Final = 1000


def paths(tables: Iterable[Table]) -> dict[str, Any]:
    """Return the paths of tables."""
    found: dict[str, Any] = {PATH: {"get": _list()}}
    for table in tables:
        found[f"{PATH}/{table.name}"] = {"post": _many(table)}
        found["/".join([PATH, table.name, *(f"{{{name}}}" for name in table.key)])] = {
            "get": _one(table)
        }
    return found


def _one(table: Table) -> dict[str, Any]:
    kinds = zip(table.key, table.key_types, strict=True)
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": TYPES[kind]},
            "example": EXAMPLES[kind],
        }
        for name, kind in kinds
    ]
    names = {"type": "array", "items": {"enum": [*table.value_columns]}}
    columns = {"name": COLUMNS, "in": "query", "explode": False, "schema": names}
    identity = {"table": TEXT, "key": {}, "generation": GENERATION}
    return {
        "summary": f"The row of a key of {table.name}",
        "parameters": [*parameters, columns],
        "responses": {
            "200": _answer("The row.", identity | _row(table)),
            "default": PROBLEM,
        },
    }


def _many(table: Table) -> dict[str, Any]:
    schemas = [{"type": TYPES[kind]} for kind in table.key_types]
    example: Any = [EXAMPLES[kind] for kind in table.key_types]
    whole: dict[str, Any] = {"type": "array", "prefixItems": schemas, "items": False}
    if len(table.key) == 1:
        (whole,), (example,) = schemas, example
    keys = {"type": "array", "items": whole, "maxItems": MAX_KEYS}
    columns = {"type": "array", "items": {"enum": [*table.value_columns]}}
    rows = {"oneOf": [{"type": "object", "properties": _row(table)}, {"type": "null"}]}
    body = _object({"keys": keys, "columns": columns}) | {
        "required": ["keys"],
        "additionalProperties": False,
    }
    answer = {
        "table": TEXT,
        "generation": GENERATION,
        "rows": {"type": "array", "description": "null for a miss.", "items": rows},
    }
    return {
        "summary": f"The rows of several keys of {table.name}",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "example": {"keys": [example]}}},
        },
        "responses": {
            "200": _answer("A row for each key, in the same order.", answer),
            "default": PROBLEM,
        },
    }


def _list() -> dict[str, Any]:
    table = {
        "table": TEXT,
        "key": {"type": "object", "description": "The types of the key columns, in their order."},
        "columns": {"type": "object", "description": "The types of the other columns."},
        "generation": {"type": "integer"},
        "live_since": TIME,
    }
    listed = {"tables": {"type": "array", "items": _object(table)}}
    return {
        "summary": "The tables",
        "responses": {"200": _answer("The tables.", listed), "default": PROBLEM},
    }


def _row(table: Table) -> dict[str, Any]:
    """Return the schemas of what there is for a key."""
    values = {name: _column(kind) for name, kind in table.value_columns.items()}
    return {"values": _object(values), "time": TIME, "version": {"type": ["string", "null"]}}


def _column(kind: str) -> dict[str, Any]:
    name, _, null = kind.partition(" ")
    if name not in TYPES:
        return {}
    return {"type": [TYPES[name], "null"] if null else TYPES[name]}


def _answer(description: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": _object(properties)}}
    return {"description": description, "content": content}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}
