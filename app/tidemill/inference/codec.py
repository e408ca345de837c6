"""Bytes to fields, and outcomes to bytes and headers."""

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

# The fields of a JSON object by name, each value as it is written. What needs a value decodes it;
# what copies one copies every digit. Of a name that is there twice the last value counts.
Fields: TypeAlias = dict[str, msgspec.Raw]

MAX_ERROR_BYTES = 1024
# A record that its sender compressed may be larger here than any topic's limit, which counts bytes
# as compressed. As a dead letter, and sent again, it shall pass: producers have this much room.
MAX_UNCOMPRESSED_BYTES = 64 * 1024 * 1024
# Fields of every result. The model's own field and those copied from the message join them.
ENVELOPE = (
    "model",
    "ts_start",
    "ts_end",
    "process_time",
    "error_message",
    "tidemill.source",  # in a batch
)
# A signature that some programs put before UTF-8; a JSON parser may ignore it (RFC 8259, 8.1).
BYTE_ORDER_MARK = "\ufeff"
_OBJECT = msgspec.json.Decoder(Fields)
NULL = msgspec.Raw(b"null")


def decode_text(value: bytes | None) -> str:
    """Return the value as text, without a byte order mark before it.

    Raises:
        NullValue: There is none.
        InvalidUtf8: It is not UTF-8.

    """
    if value is None:
        raise NullValue
    try:
        return value.decode().removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise InvalidUtf8(error) from None


def fields_or_none(text: str) -> Fields | None:
    """Return the fields of a JSON object, None if the text is anything else."""
    try:
        return _OBJECT.decode(text)
    except (ValueError, RecursionError):
        return None


def not_an_object(text: str) -> InvalidJson:
    """Return the error that says why a text has no fields."""
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
    """Return a result's JSON: copied fields, the model's output under `result`, model and times.

    The last three win where a copied field has the same name.

    `span` is the start and end, in seconds since the epoch, of the call of `predict_all` that gave
    the output; `process_time` is their distance in seconds.

    Raises:
        InvalidOutput: The output is not one JSON value.

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
    """Return a model's output, checked to be one JSON value, without white space: a single line.

    Raises:
        InvalidOutput: It is not.

    """
    if not isinstance(output, str):
        raise InvalidOutput(f"it is {type(output).__name__}, not text; use json.dumps")
    # A subclass may say what it likes of itself; this is the text that it holds.
    text = str.__str__(output).removeprefix(BYTE_ORDER_MARK)
    try:
        return msgspec.json.format(text.encode(), indent=-1).decode()
    except RecursionError:
        raise InvalidOutput(TOO_DEEP, text) from None
    except ValueError as error:
        raise InvalidOutput(describe_json_error(text) or error, text) from None


def copied_fields(fields: Fields, spec: ModelSpec) -> dict[str, msgspec.Raw]:
    """Return what a message's result repeats: its id, what the entry matches on, and `echo`.

    Each value is as it is written, on a single line. An id that is absent is null; other fields
    that are absent stay absent.

    Raises:
        InvalidJson: A value is nested too deeply.

    """
    echo = fields if spec.echo == "all" else spec.echo
    found = {} if spec.id_field is None else {spec.id_field: fields.get(spec.id_field, NULL)}
    for name in (*spec.match, *echo):
        if name in fields and name not in ENVELOPE:
            found[name] = fields[name]
    try:
        return {name: on_one_line(value) for name, value in found.items()}
    except RecursionError:
        raise InvalidJson(TOO_DEEP) from None


def on_one_line(value: msgspec.Raw) -> msgspec.Raw:
    """Return a JSON value without white space between its parts."""
    text = bytes(value)
    if text[:1] not in b"{[":
        return value
    return msgspec.Raw(msgspec.json.format(text, indent=-1))


def encode_headers(message: Message, outcome: Outcome) -> list[Header]:
    """Return the incoming headers with Tidemill's own after them (the last of a name counts)."""
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
        *((name, _clip(str(value))) for name, value in added.items() if value is not None),
    ]


def encode_truncated_headers(message: Message, failure: Failure) -> list[Header]:
    """Return the headers of a dead letter that is too large to be sent as it came.

    Key, value and incoming headers are left out; the message is still at its source.
    """
    size = record_size_upper_bound(message.key, message.value, list(message.headers))
    headers = encode_headers(replace(message, headers=()), failure)
    return [*headers, ("tidemill.error.omitted", f"key, value and headers: {size} bytes".encode())]


def record_size_upper_bound(key: bytes | None, value: bytes | None, headers: list[Header]) -> int:
    """Return the most bytes that a record takes, as Kafka's producer counts before it sends.

    61 for a batch of one, 21 for the record, and a length of at most 5 bytes before every part:
    `AbstractRecords.estimateSizeInBytesUpperBound` of Kafka's clients, format version 2.
    """
    parts = [key, value, *(part for name, content in headers for part in (name.encode(), content))]
    return 61 + 21 + 5 + sum(5 + len(part or b"") for part in parts)


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clip(text: str) -> bytes:
    """Return at most `MAX_ERROR_BYTES` of UTF-8, never half a character."""
    encoded = text.encode(errors="replace")
    return encoded[:MAX_ERROR_BYTES].decode(errors="ignore").encode()
