"""Read dead letters from records, and prepare them for a replay (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.inference import headers
from tidemill.inference.headers import ERROR_CLASS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.message import Header, Message

# The headers that the job adds before and after the error class.
BEFORE = (
    headers.SOURCE_TOPIC,
    headers.SOURCE_PARTITION,
    headers.SOURCE_OFFSET,
    headers.SOURCE_TIMESTAMP,
    headers.MODEL,
    headers.VARIANT,
    headers.VARIANT_FORCED,
)
AFTER = (headers.ERROR_MESSAGE, headers.ERROR_OMITTED)
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
    present = record.headers
    last = max((i for i, (name, _) in enumerate(present) if name == ERROR_CLASS), default=-1)
    if last < 0 or present[last][1] is None:
        return None
    start, end = last, last + 1
    for name in reversed(BEFORE):
        start -= start > 0 and present[start - 1][0] == name
    for name in AFTER:
        end += end < len(present) and present[end][0] == name
    added = {name: _text(value) for name, value in present[start:end]}
    incoming = present[:start] + present[end:]
    return DeadLetter(
        partition=record.partition or 0,
        offset=record.offset or 0,
        timestamp=record.timestamp or 0,
        key=record.key,
        value=record.value,
        headers=incoming,
        error=added[ERROR_CLASS],
        message=added.get(headers.ERROR_MESSAGE, ""),
        source_topic=added.get(headers.SOURCE_TOPIC),
        source_partition=_number(added.get(headers.SOURCE_PARTITION)),
        source_offset=_number(added.get(headers.SOURCE_OFFSET)),
        source_timestamp=_number(added.get(headers.SOURCE_TIMESTAMP)),
        model=added.get(headers.MODEL),
        tries=_tries(incoming) or 0,
        omitted=added.get(headers.ERROR_OMITTED),
    )


def replayed_headers(letter: DeadLetter) -> list[Header]:
    """Return the message's headers, followed by the increased number of tries.

    It replaces the number that the last replay added. A header of that name from elsewhere is kept.
    """
    kept = list(letter.headers)
    if kept and _tries(kept[-1:]) is not None:
        del kept[-1]
    return [*kept, (TRIES, str(letter.tries + 1).encode())]


def _tries(headers: Sequence[Header]) -> int | None:
    """Return the number in the last tries header, or None if it is not a small number."""
    last = next((value for name, value in reversed(headers) if name == TRIES), None)
    return int(last) if last and re.fullmatch(rb"\d{1,9}", last) else None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,19}", text) else None


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="backslashreplace")
