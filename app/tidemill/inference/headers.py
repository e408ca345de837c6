"""Encode the headers that Tidemill adds to a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.inference.message import Failure

if TYPE_CHECKING:
    from tidemill.inference.message import Header, Message, Outcome

MAX_BYTES = 1024

# A message may have this header, or a field of this name, with the name of the variant to use.
FORCE_VARIANT = "tidemill.variant.force"

# The names of the headers that are added, in their order.
SOURCE_TOPIC = "tidemill.source.topic"
SOURCE_PARTITION = "tidemill.source.partition"
SOURCE_OFFSET = "tidemill.source.offset"
SOURCE_TIMESTAMP = "tidemill.source.timestamp"
MODEL = "tidemill.model"
VARIANT = "tidemill.variant"
VARIANT_FORCED = "tidemill.variant.forced"
ERROR_CLASS = "tidemill.error.class"
ERROR_MESSAGE = "tidemill.error.message"
ERROR_OMITTED = "tidemill.error.omitted"


def encode_headers(message: Message, outcome: Outcome) -> list[Header]:
    """Return the incoming headers, then Tidemill's (in Kafka the last of a name counts)."""
    return [*message.headers, *added_headers(message, outcome)]


def added_headers(message: Message, outcome: Outcome) -> list[Header]:
    """Return Tidemill's headers for an outcome."""
    headers = source_headers(message, outcome)
    return headers + error_headers(outcome) if isinstance(outcome, Failure) else headers


def source_headers(message: Message, outcome: Outcome) -> list[Header]:
    """Return the headers that say where the message is, and which model it was routed to."""
    assignment = outcome.assignment
    return _encode(
        (SOURCE_TOPIC, message.topic),
        (SOURCE_PARTITION, message.partition),
        (SOURCE_OFFSET, message.offset),
        (SOURCE_TIMESTAMP, message.timestamp),
        (MODEL, outcome.model),
        (VARIANT, assignment and assignment.variant),
        (VARIANT_FORCED, "true" if assignment and assignment.forced else None),
    )


def error_headers(failure: Failure) -> list[Header]:
    """Return the headers that say why there is no result."""
    return _encode((ERROR_CLASS, failure.error_class), (ERROR_MESSAGE, failure.error))


def omitted_header(size: int) -> Header:
    """Return the header of a dead letter that has no room for its message of `size` bytes."""
    return ERROR_OMITTED, f"key, value and headers: {size} bytes".encode()


def _encode(*headers: tuple[str, object]) -> list[Header]:
    return [(name, _truncate_utf8(str(value))) for name, value in headers if value is not None]


def _truncate_utf8(text: str) -> bytes:
    """Encode as at most `MAX_BYTES` bytes of UTF-8, without splitting a character."""
    encoded = text.encode(errors="replace")
    return encoded[:MAX_BYTES].decode(errors="ignore").encode()
