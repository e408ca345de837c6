"""Check a batch of JSON texts against a JSON Schema (draft 2020-12 unless `$schema` names another).

`format` is an annotation, as the draft says. A `$ref` reaches only what the schema itself holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from tidemill.errors import InvalidSchema
from tidemill.extras import required
from tidemill.inference.malformed import TOO_DEEP, describe_json_error
from tidemill.inference.violation import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema_rs import Validator

MAX_COMPILED = 1024  # the most schemas that a process keeps compiled
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
        from jsonschema_rs import (  # noqa: PLC0415 - only those who have schemas need it
            ReferencingError,
            ValidationError,
            validator_for,
        )
    try:
        return validator_for(schema, validate_formats=False, retriever=_refuse)
    except ValidationError as error:
        raise InvalidSchema(describe([error], {}, "schema")) from None
    except (ReferencingError, ValueError) as error:
        raise InvalidSchema(error) from None


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"it refers to {uri}, which it does not hold")


def _encode(schema: object) -> str:
    try:
        return msgspec.json.encode(schema).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSchema(f"it is not JSON: {error}") from None


def _violation(
    validator: Validator, schema: Mapping[str, Any], text: str, subject: str
) -> str | None:
    try:
        value = _decode(text)
        if validator.is_valid(value):
            return None
        return describe(list(validator.iter_errors(value)), schema, subject)
    except RecursionError:
        reason = TOO_DEEP
    except ValueError as error:
        reason = describe_json_error(text) or str(error)
    return f"the {subject} is not JSON: {reason}"
