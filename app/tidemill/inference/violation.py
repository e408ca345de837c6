"""Describe in one line how a value violates a JSON Schema: field, expectation and value."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from tidemill.errors.base import MAX_MESSAGE, one_line
from tidemill.inference.wording import MAX_TEXT, field, one_of, shorten, show, to_json, types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema_rs import ValidationError

# If more fields than this are missing, an unexpected one is hardly a slip of the pen.
MAX_SLIPS = 50
LIMITS = {
    "const": "be {}",
    "exclusiveMaximum": "be less than {}",
    "exclusiveMinimum": "be more than {}",
    "format": "have the format {}",
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
    """Describe the first error, and count the others, in a line of at most 160 characters."""
    more = len(errors) - 1
    count = f" (and {more} more problem{'s' if more > 1 else ''})" if more else ""
    return (
        shorten(one_line(_describe(errors[0], schema, subject)), MAX_MESSAGE - len(count)) + count
    )


def _describe(error: ValidationError, schema: Mapping[str, Any], subject: str) -> str:
    path = error.instance_path
    match error.kind.name:
        case "required":
            return f"{field([*path, error.kind.value], subject)} is missing"
        case "additionalProperties" | "unevaluatedProperties":
            return _describe_unexpected(error, schema, subject)
        case "anyOf" | "oneOf":
            return _describe_alternatives(error, schema, subject)
        case keyword:
            return f"{field(path, subject)} {_rule(keyword, error.kind.value, error.instance)}"


def _rule(keyword: str, limit: Any, value: Any) -> str:  # noqa: ANN401 - JSON
    """Word what a keyword demands of a value."""
    if keyword == "type":
        return f"must be {types(limit)}, not {show(value)}"
    if keyword == "enum":
        return f"must be {one_of(list(map(to_json, limit)))}, not {show(value)}"
    if keyword in LIMITS:
        return f"must {LIMITS[keyword].format(to_json(limit))}, not {show(value)}"
    if keyword in SIZES:
        size = SIZES[keyword].format(limit, "" if limit == 1 else "s")
        return f"must have {size}, not {len(value)}"
    others = {"falseSchema": "is not allowed", "uniqueItems": "has equal items"}
    return others.get(keyword, f"violates the schema's keyword '{keyword}'")


def _describe_unexpected(error: ValidationError, schema: Mapping[str, Any], subject: str) -> str:
    """Describe a field that the schema does not know; name the one that may be meant."""
    name, *others = error.kind.value
    instance: Any = error.instance
    missing = _properties(schema, error.schema_path[:-1]) - set(instance)
    near = get_close_matches(name, missing, n=1) if len(missing) <= MAX_SLIPS else []
    suggestion = f" (did you mean '{shorten(near[0], MAX_TEXT)}'?)" if near else ""
    text = f"{field([*error.instance_path, name], subject)} is not expected{suggestion}"
    return f"{text}, and {len(others)} more" if others else text


def _properties(schema: Mapping[str, Any], path: Sequence[str | int]) -> set[str]:
    """Return the names of the fields that a schema describes at a path."""
    part: Any = schema
    try:
        for step in path:
            part = part[step]
        return set(part["properties"])
    except (KeyError, IndexError, TypeError):
        return set()


def _describe_alternatives(error: ValidationError, schema: Mapping[str, Any], subject: str) -> str:
    """Describe a value that fits no alternative of a schema, or several of those that exclude."""
    name, alternatives = field(error.instance_path, subject), error.kind.value
    if not all(alternatives):
        return f"{name} fits several alternatives of the schema, and must fit only one"
    others = [errors for errors in alternatives if not _is_type_error(errors, error)]
    if not others:
        names = [name for errors in alternatives for name in errors[0].kind.value]
        return f"{name} must be {types(names)}, not {show(error.instance)}"
    if len(others) == 1:
        return describe(others[0], schema, subject)
    return f"{name} fits none of the schema's {len(alternatives)} alternatives"


def _is_type_error(errors: Sequence[ValidationError], outer: ValidationError) -> bool:
    """Return whether an alternative fails because the whole value is of another type."""
    return errors[0].kind.name == "type" and errors[0].instance_path == outer.instance_path
