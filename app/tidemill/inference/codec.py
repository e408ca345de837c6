"""Decode messages into fields; encode outcomes as bytes and headers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from tidemill.errors import InvalidJson, InvalidOutput, InvalidUtf8, NullValue, json_type
from tidemill.inference.malformed import TOO_DEEP, describe_json_error
from tidemill.inference.message import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.inference.message import Header, Message, Outcome
    from tidemill.inference.model import ModelSpec

# The fields of a JSON object by name. Values stay undecoded, so that copying one changes no digit.
# If a name occurs twice, the last value wins.
Fields: TypeAlias = dict[str, msgspec.Raw]

MAX_ERROR_BYTES = 1024
# Topics limit compressed sizes, so a record may exceed its topic's limit once it is decompressed.
# Producers accept records of this size, so that such a record can become a dead letter.
MAX_UNCOMPRESSED_BYTES = 64 * 1024 * 1024
# Fields of every result, besides the model's output and the fields copied from the message.
ENVELOPE = (
    "model",
    "ts_start",
    "ts_end",
    "process_time",
    "error_message",
    "tidemill.source",  # only in batch results
)
# Some programs write it before UTF-8 text; JSON parsers may ignore it (RFC 8259, section 8.1).
BYTE_ORDER_MARK = "\ufeff"
_OBJECT = msgspec.json.Decoder(Fields)
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


def encode_result(
    copied: Mapping[str, msgspec.Raw],
    result: str,
    output: str,
    model: str,
    span: tuple[float, float],
) -> bytes:
    """Encode a result as JSON: copied fields, the output under the name `result`, model and times.

    If a copied field has the name of one of the others, the copied field is dropped. `span` is the
    start and end of the call to `predict_all`, in seconds since the epoch; `process_time` is the
    difference in seconds.

    Raises:
        InvalidOutput: The output is not exactly one JSON value.

    """
    start, end = span
    return msgspec.json.encode(
        {
            **copied,
            result: msgspec.Raw(minify_json(output).encode()),
            "model": model,
            "ts_start": _iso(start),
            "ts_end": _iso(end),
            "process_time": round(max(0.0, end - start), 6),
            "error_message": None,
        }
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
    try:
        return {name: _minify_value(value) for name, value in copied.items()}
    except RecursionError:
        raise InvalidJson(TOO_DEEP) from None


def _minify_value(value: msgspec.Raw) -> msgspec.Raw:
    """Remove the white space between the parts of a JSON value."""
    text = bytes(value)
    if text[:1] not in b"{[":
        return value
    return msgspec.Raw(msgspec.json.format(text, indent=-1))


def encode_headers(message: Message, outcome: Outcome) -> list[Header]:
    """Append Tidemill's headers to the incoming ones (in Kafka the last of a name counts)."""
    added: dict[str, object] = {
        "tidemill.source.topic": message.topic,
        "tidemill.source.partition": message.partition,
        "tidemill.source.offset": message.offset,
        "tidemill.source.timestamp": message.timestamp,
        "tidemill.model": outcome.model,
    }
    if isinstance(outcome, Failure):
        added["tidemill.error.class"] = outcome.error_class
        added["tidemill.error.message"] = outcome.error
    return [
        *message.headers,
        *((name, _truncate_utf8(str(value))) for name, value in added.items() if value is not None),
    ]


def encode_truncated_headers(message: Message, failure: Failure) -> list[Header]:
    """Return the headers of a dead letter that is too large to carry its message.

    Key, value and incoming headers are omitted; the headers say where to find the message.
    """
    size = record_size_upper_bound(message.key, message.value, list(message.headers))
    headers = encode_headers(replace(message, headers=()), failure)
    return [*headers, ("tidemill.error.omitted", f"key, value and headers: {size} bytes".encode())]


def record_size_upper_bound(key: bytes | None, value: bytes | None, headers: list[Header]) -> int:
    """Return the upper bound of a record's size that Kafka's producer checks before it sends.

    A batch of one record has 61 bytes of overhead, the record 21, and each part a length prefix of
    at most 5 bytes: `AbstractRecords.estimateSizeInBytesUpperBound` of Kafka's clients, record
    format version 2.
    """
    parts = [key, value, *(part for name, content in headers for part in (name.encode(), content))]
    return 61 + 21 + 5 + sum(5 + len(part or b"") for part in parts)


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _truncate_utf8(text: str) -> bytes:
    """Encode as at most `MAX_ERROR_BYTES` bytes of UTF-8, without splitting a character."""
    encoded = text.encode(errors="replace")
    return encoded[:MAX_ERROR_BYTES].decode(errors="ignore").encode()
