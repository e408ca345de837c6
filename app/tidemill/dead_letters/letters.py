"""Read dead letters from records, and prepare them for a replay (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.message import Header, Message

# The headers that the job adds (`tidemill.inference.codec`), in order: BEFORE, CLASS, AFTER.
BEFORE = (
    "tidemill.source.topic",
    "tidemill.source.partition",
    "tidemill.source.offset",
    "tidemill.source.timestamp",
    "tidemill.model",
)
CLASS = "tidemill.error.class"
AFTER = ("tidemill.error.message", "tidemill.error.omitted")
# A replay adds this header. The job passes it on like any incoming header.
TRIES = "tidemill.tries"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be answered, and the reason.

    `partition`, `offset` and `timestamp` (milliseconds since the epoch) belong to the letter, the
    `source_…` fields to the message. `headers` are the message's own. `tries` counts its replays.
    If the letter does not hold the message, `omitted` says what is missing.
    """

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    error: str
    message: str = ""
    source_topic: str | None = None
    source_partition: int | None = None
    source_offset: int | None = None
    source_timestamp: int | None = None
    model: str | None = None
    tries: int = 0
    omitted: str | None = None


def read(record: Message) -> DeadLetter | None:
    """Return a record's dead letter, or None if the job did not write the record.

    The job's headers are those around the last error class. Earlier headers with the same names
    came with the message; later headers were added by others (by tracing, for example). Both are
    kept.
    """
    headers = record.headers
    last = max((i for i, (name, _) in enumerate(headers) if name == CLASS), default=-1)
    if last < 0 or headers[last][1] is None:
        return None
    start, end = last, last + 1
    for name in reversed(BEFORE):
        start -= start > 0 and headers[start - 1][0] == name
    for name in AFTER:
        end += end < len(headers) and headers[end][0] == name
    added = {name: _text(value) for name, value in headers[start:end]}
    incoming = headers[:start] + headers[end:]
    return DeadLetter(
        partition=record.partition or 0,
        offset=record.offset or 0,
        timestamp=record.timestamp or 0,
        key=record.key,
        value=record.value,
        headers=incoming,
        error=added[CLASS],
        message=added.get("tidemill.error.message", ""),
        source_topic=added.get("tidemill.source.topic"),
        source_partition=_number(added.get("tidemill.source.partition")),
        source_offset=_number(added.get("tidemill.source.offset")),
        source_timestamp=_number(added.get("tidemill.source.timestamp")),
        model=added.get("tidemill.model"),
        tries=_tries(incoming) or 0,
        omitted=added.get("tidemill.error.omitted"),
    )


def replayed_headers(letter: DeadLetter) -> list[Header]:
    """Return the message's headers, followed by the increased number of tries.

    It replaces the number that the last replay added. A header of that name from elsewhere is kept.
    """
    headers = list(letter.headers)
    if headers and _tries(headers[-1:]) is not None:
        del headers[-1]
    return [*headers, (TRIES, str(letter.tries + 1).encode())]


def _tries(headers: Sequence[Header]) -> int | None:
    """Return the number in the last tries header, or None if it is not a small number."""
    last = next((value for name, value in reversed(headers) if name == TRIES), None)
    return int(last) if last and re.fullmatch(rb"\d{1,9}", last) else None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,19}", text) else None


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="backslashreplace")
