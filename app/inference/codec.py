"""Bytes to fields, and outcomes to bytes and headers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from app.errors import InvalidJson, InvalidOutput, InvalidUtf8, NullValue, json_type
from app.inference.message import Failure

if TYPE_CHECKING:
    from app.inference.message import Header, Message, Outcome

MAX_ERROR_BYTES = 1024
# A record that its sender compressed may be larger here than any topic's limit, which counts bytes
# as compressed. As a dead letter, and sent again, it shall pass: producers have this much room.
MAX_UNCOMPRESSED_BYTES = 64 * 1024 * 1024
# Fields of every result; the model's own field and those that its entry matches on join them.
ENVELOPE = ("uuid", "model", "ts_start", "ts_end", "process_time", "error_message")


def decode_text(value: bytes | None) -> str:
    """Return the value as text.

    Raises:
        NullValue: There is none.
        InvalidUtf8: It is not UTF-8.

    """
    if value is None:
        raise NullValue
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidUtf8(error) from None


def decode_fields(text: str) -> dict[str, Any]:
    """Return the fields of a JSON object.

    Raises:
        InvalidJson: The text is not JSON (RFC 8259), not an object, or nested too deeply.

    """
    if not text:
        raise InvalidJson("it is empty")
    try:
        fields = msgspec.json.decode(text)
    except RecursionError:
        raise InvalidJson("it is nested too deeply") from None
    except ValueError as error:
        raise InvalidJson(error) from None
    if not isinstance(fields, dict):
        raise InvalidJson(f"it is of type {json_type(fields)}")
    return fields


def encode_result(
    echoed: dict[str, str | None], result: str, output: str, model: str, span: tuple[float, float]
) -> bytes:
    """Return a result's JSON: echoed fields, the model's output under `result`, model and times.

    `span` is the start and end, in seconds since the epoch, of the call of `predict_all` that gave
    the output; `process_time` is their distance in seconds.

    Raises:
        InvalidOutput: The output is not one JSON value.

    """
    start, end = span
    return msgspec.json.encode(
        {
            **echoed,
            result: msgspec.Raw(compact(output).encode()),
            "model": model,
            "ts_start": _iso(start),
            "ts_end": _iso(end),
            "process_time": round(max(0.0, end - start), 6),
            "error_message": None,
        }
    )


def compact(output: str) -> str:
    """Return a model's output, checked to be one JSON value, without white space: a single line.

    Raises:
        InvalidOutput: It is not.

    """
    if not isinstance(output, str):
        raise InvalidOutput(f"it is {type(output).__name__}, not text")
    try:
        # As bytes: of a subclass of str msgspec would read the buffer, if it has one.
        return msgspec.json.format(output.encode(), indent=-1).decode()
    except (ValueError, RecursionError) as error:
        raise InvalidOutput(error) from None


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


def encode_omission(message: Message, failure: Failure) -> list[Header]:
    """Return the headers of a dead letter that is too large to be sent as it came.

    Key, value and incoming headers are left out; the message is still at its source.
    """
    size = record_size(message.key, message.value, list(message.headers))
    headers = encode_headers(replace(message, headers=()), failure)
    return [*headers, ("tidemill.error.omitted", f"key, value and headers: {size} bytes".encode())]


def record_size(key: bytes | None, value: bytes | None, headers: list[Header]) -> int:
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
