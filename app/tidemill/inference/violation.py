"""Describe in one line how a value violates a JSON Schema: field, expectation and value."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema_rs import ValidationError

Path = list[str | int]

MAX_PATH, MAX_TEXT = 60, 40  # characters of a field's path, and of a value
# With more fields missing than this, an unexpected one is hardly a slip of the pen.
MAX_SLIPS = 50
PLAIN = re.compile(r"[\w-]+")
NOUNS = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
LIMITS = {
    "const": "be {}",
    "exclusiveMaximum": "be less than {}",
    "exclusiveMinimum": "be more than {}",
    "maximum": "be at most {}",
    "minimum": "be at least {}",
    "multipleOf": "be a multiple of {}",
    "pattern": "match the pattern {}",
}
SIZES = {
    "maxItems": "at most {} item{}",
    "maxLength": "at most {} character{}",
    "maxProperties": "at most {} field{}",
    "minItems": "at least {} item{}",
    "minLength": "at least {} character{}",
    "minProperties": "at least {} field{}",
}


def describe(errors: Sequence[ValidationError], schema: Mapping[str, Any], subject: str) -> str:
    """Describe the first error, and count the others."""
    more = len(errors) - 1
    text = _describe(errors[0], schema, subject)
    return f"{text} (and {more} more problem{'s' if more > 1 else ''})" if more else text


def _describe(error: ValidationError, schema: Mapping[str, Any], subject: str) -> str:
    keyword, limit, value = error.kind.name, error.kind.value, error.instance
    field = _field(error.instance_path, subject)
    if keyword == "required":
        return f"{_field([*error.instance_path, limit], subject)} is missing"
    if keyword in {"additionalProperties", "unevaluatedProperties"}:
        return _unexpected(error, schema, subject)
    if keyword in {"anyOf", "oneOf"}:
        return _no_alternative(error, schema, subject)
    if keyword == "falseSchema":
        return f"{field} is not allowed"
    if keyword == "type":
        return f"{field} must be {_one_of([NOUNS[name] for name in limit])}, not {_show(value)}"
    if keyword == "enum":
        return f"{field} must be {_one_of(list(map(_show, limit)))}, not {_show(value)}"
    if keyword in LIMITS:
        return f"{field} must {LIMITS[keyword].format(_show(limit))}, not {_show(value)}"
    if keyword in SIZES:
        size = SIZES[keyword].format(limit, "" if limit == 1 else "s")
        return f"{field} must have {size}, not {len(value)}"
    if keyword == "uniqueItems":
        return f"{field} has equal items"
    return f"{field} violates the schema's keyword '{keyword}'"


def _unexpected(error: ValidationError, schema: Mapping[str, Any], subject: str) -> str:
    """Describe a field that the schema does not know; name the one that may be meant."""
    name, *others = error.kind.value
    missing = _properties(schema, error.schema_path[:-1]) - set(error.instance)
    near = get_close_matches(name, missing, n=1) if len(missing) <= MAX_SLIPS else []
    suggestion = f" (did you mean '{_shorten(near[0], MAX_TEXT)}'?)" if near else ""
    text = f"{_field([*error.instance_path, name], subject)} is not expected{suggestion}"
    return f"{text}, and {len(others)} more" if others else text


def _properties(schema: Mapping[str, Any], path: Path) -> set[str]:
    """Return the names of the fields that a schema describes at a path."""
    part: Any = schema
    try:
        for step in path:
            part = part[step]
        return set(part["properties"])
    except (KeyError, IndexError, TypeError):
        return set()


def _no_alternative(error: ValidationError, schema: Mapping[str, Any], subject: str) -> str:
    """Describe a value that fits no alternative of a schema, or several of those that exclude."""
    field, alternatives = _field(error.instance_path, subject), error.kind.value
    if not all(alternatives):
        return f"{field} fits several alternatives of the schema, and must fit only one"
    others = [errors for errors in alternatives if not _is_type_error(errors, error)]
    if not others:
        names = [NOUNS[name] for errors in alternatives for name in errors[0].kind.value]
        return f"{field} must be {_one_of(names)}, not {_show(error.instance)}"
    if len(others) == 1:
        return describe(others[0], schema, subject)
    return f"{field} fits none of the schema's {len(alternatives)} alternatives"


def _is_type_error(errors: Sequence[ValidationError], outer: ValidationError) -> bool:
    """Return whether an alternative fails because the whole value is of another type."""
    return any(
        error.kind.name == "type" and error.instance_path == outer.instance_path
        for error in errors
    )


def _field(path: Path, subject: str) -> str:
    """Return the name of a part of a value, such as `the field 'trip.stops[2].km'`."""
    if not path:
        return f"the {subject}"
    name = ""
    for step in path:
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            name += f".{step}" if PLAIN.fullmatch(step) else f"[{_quote(step)}]"
    name = name.removeprefix(".")
    if len(name) > MAX_PATH:
        name = "…" + name[1 - MAX_PATH :]
    return f"the {'item' if isinstance(path[-1], int) else 'field'} '{name}'"


def _one_of(words: Sequence[str]) -> str:
    """Join alternatives with "or"; leave out those that do not fit."""
    words = list(dict.fromkeys(words))
    text = ", ".join(words[:-1])
    if len(text) > MAX_TEXT:
        return f"one of {_shorten(text, MAX_TEXT)}"
    return f"{text} or {words[-1]}" if text else "".join(words)


def _show(value: object) -> str:
    """Return a value as JSON, if it is short."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return _quote(value)
        case bool() | None:
            return json.dumps(value)
    return _shorten(str(value), MAX_TEXT)


def _quote(text: str) -> str:
    return f'"{_shorten(json.dumps(text, ensure_ascii=False)[1:-1], MAX_TEXT)}"'


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
