"""Decode messages into fields; encode results as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from tidemill.errors import (
    InvalidJson,
    InvalidOutput,
    InvalidUtf8,
    MissingField,
    NullValue,
    WrongType,
    json_type,
)
from tidemill.inference.malformed import TOO_DEEP, describe_json_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidemill.inference.message import Assignment
    from tidemill.inference.model import ModelSpec

# The fields of a JSON object by name. Values stay undecoded, so that copying one changes no digit.
# If a name occurs twice, the last value wins.
Fields: TypeAlias = dict[str, msgspec.Raw]

# Fields of every result, besides the model's output and the fields copied from the message.
ENVELOPE = (
    "model",
    "ts_start",
    "ts_end",
    "process_time",
    "error_message",
    "tidemill.source",  # only in batch results
)
# Further fields of the results of a route with several models.
VARIANT, VARIANT_FORCED = "variant", "variant_forced"
# A further field of the results of an entry that looks features up: the generation of each table.
FEATURES = "features"
# Some programs write it before UTF-8 text; JSON parsers may ignore it (RFC 8259, section 8.1).
BYTE_ORDER_MARK = "\ufeff"
_OBJECT = msgspec.json.Decoder(Fields)
_TEXT = msgspec.json.Decoder(str)
NULL = msgspec.Raw(b"null")


def decode_text(value: bytes | None) -> str:
    """Decode a value as UTF-8 and drop a leading byte order mark.

    Raises:
        NullValue: There is no value.
        InvalidUtf8: The value is not UTF-8.

    """
    if value is None:
        raise NullValue
    try:
        return value.decode().removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise InvalidUtf8(error) from None


def fields_or_none(text: str) -> Fields | None:
    """Return the fields of a JSON object, or None if the text is anything else."""
    try:
        return _OBJECT.decode(text)
    except (ValueError, RecursionError):
        return None


def not_an_object(text: str) -> InvalidJson:
    """Return an error that explains why the text is not a JSON object."""
    return InvalidJson(describe_json_error(text) or f"it is of type {json_type(text)}")


def decode_fields(text: str) -> Fields:
    """Return the fields of a JSON object.

    Raises:
        InvalidJson: The text is not JSON (RFC 8259), not an object, or nested too deeply.

    """
    fields = fields_or_none(text)
    if fields is None:
        raise not_an_object(text)
    return fields


def is_present(fields: Fields, name: str) -> bool:
    """Return whether a field exists and is not null."""
    return fields.get(name, NULL) != NULL


def text_or_none(fields: Fields, field: str) -> str | None:
    """Return the text of a field, or None if it is missing or not text."""
    try:
        return _TEXT.decode(fields.get(field, NULL))
    except ValueError:
        return None


def require_key(fields: Fields, field: str) -> str:
    """Return the value of a field as text: text itself, anything else as JSON.

    Raises:
        MissingField: The field is missing or null.
        InvalidJson: The value is nested too deeply.

    """
    text = text_or_none(fields, field)
    return require_value(fields, field) if text is None else text


def require_value(fields: Fields, field: str) -> str:
    """Return the JSON of a field, without white space between its parts.

    Raises:
        MissingField: The field is missing or null.
        InvalidJson: The value is nested too deeply.

    """
    if not is_present(fields, field):
        raise MissingField(field)
    return bytes(minified({field: fields[field]})[field]).decode()


def select(fields: Fields, names: Sequence[str]) -> str:
    """Return a JSON object of the named fields, without those that are missing.

    Raises:
        MissingField: All of them are missing.
        InvalidJson: A value is nested too deeply.

    """
    present = {name: fields[name] for name in names if name in fields}
    if not present:
        raise MissingField(names[0])
    return msgspec.json.encode(minified(present)).decode()


def encode_fields(fields: Fields) -> str:
    """Return a JSON object without the white space between its parts.

    Raises:
        InvalidJson: A value is nested too deeply.

    """
    try:
        return msgspec.json.format(msgspec.json.encode(fields), indent=-1).decode()
    except RecursionError:
        raise InvalidJson(TOO_DEEP) from None


def require_text(fields: Fields, field: str) -> str:
    """Return the text of a field.

    Raises:
        MissingField: The field is missing or null.
        WrongType: The field is not text.

    """
    if not is_present(fields, field):
        raise MissingField(field)
    try:
        return _TEXT.decode(fields[field])
    except ValueError:
        raise WrongType(field, bytes(fields[field]).decode()) from None


def encode_result(
    copied: Mapping[str, msgspec.Raw],
    result: str,
    output: str,
    model: str,
    span: tuple[float, float],
    *,
    assignment: Assignment | None = None,
    features: Mapping[str, int] | None = None,
) -> bytes:
    """Encode a result as JSON: copied fields, the output under the name `result`, model and times.

    The output is the text of one JSON value. If a copied field has the name of one of the others,
    the copied field is dropped. `span` is the start and end of the call to `predict_all`, in
    seconds since the epoch; `process_time` is the difference in seconds. If a variant was chosen,
    its name follows, and whether the message forced it. If features were looked up, the generations
    of their tables follow.
    """
    start, end = span
    reserved: tuple[str, ...] = () if assignment is None else (VARIANT, VARIANT_FORCED)
    reserved += () if features is None else (FEATURES,)
    return msgspec.json.encode(
        {
            **{name: value for name, value in copied.items() if name not in reserved},
            result: msgspec.Raw(output.encode()),
            "model": model,
            "ts_start": _iso(start),
            "ts_end": _iso(end),
            "process_time": round(max(0.0, end - start), 6),
            "error_message": None,
        }
        | ({} if assignment is None else {VARIANT: assignment.variant})
        | ({VARIANT_FORCED: True} if assignment and assignment.forced else {})
        | ({} if features is None else {FEATURES: features})
    )


def minify_json(output: str) -> str:
    """Check that a model's output is exactly one JSON value; return it without white space.

    Raises:
        InvalidOutput: The output is not text, or not exactly one JSON value.

    """
    if not isinstance(output, str):
        raise InvalidOutput(f"it is {type(output).__name__}, not text; use json.dumps")
    # A subclass of str may override __str__; this reads the text itself.
    text = str.__str__(output).removeprefix(BYTE_ORDER_MARK)
    try:
        return msgspec.json.format(text.encode(), indent=-1).decode()
    except RecursionError:
        raise InvalidOutput(TOO_DEEP, text) from None
    except ValueError as error:
        raise InvalidOutput(describe_json_error(text) or error, text) from None


def copied_fields(fields: Fields, spec: ModelSpec) -> dict[str, msgspec.Raw]:
    """Return the fields to copy into the result: the id, the matched fields, and `echo`.

    Values keep their text, except for white space between their parts. A missing id becomes null;
    other missing fields stay missing.

    Raises:
        InvalidJson: A value is nested too deeply.

    """
    echo = fields if spec.echo == "all" else spec.echo
    copied = {} if spec.id_field is None else {spec.id_field: fields.get(spec.id_field, NULL)}
    for name in (*spec.match, *echo):
        if name in fields and name not in ENVELOPE:
            copied[name] = fields[name]
    return minified(copied)


def minified(fields: Fields) -> Fields:
    """Return fields without the white space between the parts of their values.

    Raises:
        InvalidJson: A value is nested too deeply.

    """
    try:
        return {name: _minify_value(value) for name, value in fields.items()}
    except RecursionError:
        raise InvalidJson(TOO_DEEP) from None


def _minify_value(value: msgspec.Raw) -> msgspec.Raw:
    """Remove the white space between the parts of a JSON value."""
    text = bytes(value)
    if text[:1] not in b"{[":
        return value
    return msgspec.Raw(msgspec.json.format(text, indent=-1))


@lru_cache(maxsize=16)  # all results of a call to the model have the same times
def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
