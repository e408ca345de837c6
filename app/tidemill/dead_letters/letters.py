"""A dead letter, read from its record, and what it becomes when it is sent again; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.message import Header, Message

# What the job adds (`tidemill.inference.codec`), in its order: these, the error's class, and these.
BEFORE = (
    "tidemill.source.topic",
    "tidemill.source.partition",
    "tidemill.source.offset",
    "tidemill.source.timestamp",
    "tidemill.model",
)
CLASS = "tidemill.error.class"
AFTER = ("tidemill.error.message", "tidemill.error.omitted")
# What a replay adds, which passes through the job as an incoming header.
TRIES = "tidemill.tries"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that had no answer, and why.

    `partition`, `offset` and `timestamp` (milliseconds since the epoch) are the letter's own, those
    of `source_…` the message's. `headers` are the incoming ones, `tries` how often it was replayed.
    `omitted` says what is missing where the letter holds no message.
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
    """Return the dead letter that a record is, or None where the job did not write it.

    The last of a name counts, so that incoming headers with the job's own names are kept as they
    are: the added ones are those right around the last error class. What others added after them,
    as tracing does, is kept too.
    """
    headers = record.headers
    last = max((at for at, (name, _) in enumerate(headers) if name == CLASS), default=-1)
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
    """Return the incoming headers as they came, with the tries counted up at their end.

    The last replay's count is replaced; a header of that name that no replay left there is kept.
    """
    headers = list(letter.headers)
    if headers and _tries(headers[-1:]) is not None:
        del headers[-1]
    return [*headers, (TRIES, str(letter.tries + 1).encode())]


def _tries(headers: Sequence[Header]) -> int | None:
    """Return what the last header of the name says, or None where it is no small number."""
    last = next((value for name, value in reversed(headers) if name == TRIES), None)
    return int(last) if last and re.fullmatch(rb"\d{1,9}", last) else None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,19}", text) else None


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="backslashreplace")
