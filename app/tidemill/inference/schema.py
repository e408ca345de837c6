"""Check a batch of JSON texts against a JSON Schema (draft 2020-12 unless `$schema` names another).

`format` is an annotation, as the draft says. A `$ref` reaches only what the schema itself holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

import msgspec

from tidemill.errors import InvalidSchema, json_type
from tidemill.extras import required
from tidemill.inference.malformed import describe_json_error
from tidemill.inference.violation import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema_rs import ValidationError, Validator

MAX_COMPILED = 256  # schemas that a process keeps; one of 600 fields takes half a MiB
MAX_DEPTH = 250  # levels of arrays and objects
MAX_COUNTED = 4096  # characters of a text whose violations are all counted
_decode = msgspec.json.Decoder().decode


def violations(
    schema: Mapping[str, Any], texts: Sequence[str], subject: str = "input"
) -> list[str | None]:
    """Return one line for each text: what violates the schema; None if nothing does.

    The line calls the whole value `subject`: "input" or "output".

    Raises:
        InvalidSchema: The schema itself is wrong.
        MissingExtra: The validator is not installed.

    """
    validator = compiled(_encode(schema))
    return [_violation(validator, schema, text, subject) for text in texts]


def each_violation(schema: Mapping[str, Any], text: str, subject: str = "input") -> list[str]:
    """Return one line for each violation of one text; `violations` has one line for all of them.

    Raises:
        InvalidSchema, MissingExtra: As `violations`.

    """
    found = _check(compiled(_encode(schema)), text, subject)
    return [found] if isinstance(found, str) else [describe([e], schema, subject) for e in found]


def check_schema(schema: object) -> str | None:
    """Compile a schema. Return what is wrong with it; None if nothing is.

    Raises:
        MissingExtra: The validator is not installed.

    """
    try:
        compiled(_encode(schema))
    except InvalidSchema as error:
        return str(error)
    return None


@lru_cache(MAX_COMPILED)
def compiled(schema: str) -> Validator:
    """Return the validator of a schema, which is JSON text; make it if the process has none yet.

    Raises:
        InvalidSchema: The schema itself is wrong.
        MissingExtra: The validator is not installed.

    """
    with required():
        # Only entries and models with schemas need it.
        from jsonschema_rs import ValidationError, validator_for  # noqa: PLC0415
    # From text, the validator would read numbers with more digits than those of an input have.
    document = _decode(schema)
    if not isinstance(document, dict | bool):
        raise InvalidSchema(f"it is of type {json_type(schema)}")
    try:
        return validator_for(document, validate_formats=False, retriever=_refuse)
    except ValidationError as error:
        unresolved = error.kind.name == "$ref"
        reason = error.message if unresolved else describe([error], {}, "schema")
        raise InvalidSchema(reason) from None


def _refuse(_: str) -> NoReturn:
    raise ValueError("schemas are never fetched")


def _encode(schema: object) -> str:
    try:
        return msgspec.json.encode(schema).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSchema(f"it is not JSON: {error}") from None


def _violation(
    validator: Validator, schema: Mapping[str, Any], text: str, subject: str
) -> str | None:
    found = _check(validator, text, subject)
    return found if isinstance(found, str) else describe(found, schema, subject) if found else None


def _check(validator: Validator, text: str, subject: str) -> str | list[ValidationError]:
    """Return the violations of a text, or a line if it cannot be checked."""
    try:
        value = _decode(text)
    except RecursionError:
        return f"the {subject} is nested too deeply"
    except ValueError:
        # JSON that does not decode has a number with thousands of digits, or one such as 1e999.
        reason = describe_json_error(text) or "a number is too large"
        return f"the {subject} is not JSON: {reason}"
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(value):
        return f"the {subject} is nested too deeply"
    return [] if validator.is_valid(value) else _errors(validator, value, len(text))


def _is_deep(value: object) -> bool:
    """Return whether a value is nested so deeply that a schema with `$ref` may need more stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for whole in level
            for part in (whole.values() if isinstance(whole, dict) else whole)  # type: ignore[attr-defined] # a list
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


def _errors(validator: Validator, value: object, length: int) -> list[ValidationError]:
    """Return all errors of a value, or the first one if the value is long.

    Each missing field is an error that holds a copy of the whole object.
    """
    if length <= MAX_COUNTED:
        return list(validator.iter_errors(value))
    try:
        validator.validate(value)
    except ValueError as error:
        return [cast("ValidationError", error)]
    return []
