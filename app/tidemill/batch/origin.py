"""Say where a message came from: its file and line or row, or its topic, partition and offset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from tidemill.inference.message import Header, Message

Unit: TypeAlias = Literal["line", "row"]
Origin: TypeAlias = "dict[str, str | int | None]"

# The field or column of a result, and the prefix of headers.
SOURCE = "tidemill.source"
FILE = f"{SOURCE}.file"
NUMBERS: dict[str, Unit] = {f"{SOURCE}.line": "line", f"{SOURCE}.row": "row"}


def origin_headers(path: str, unit: Unit, number: int) -> tuple[Header, ...]:
    """Return the headers of a message from a file."""
    return (FILE, path.encode()), (f"{SOURCE}.{unit}", b"%d" % number)


def origin(message: Message) -> Origin:
    """Return where a message came from."""
    # The reader of a file adds its headers last; records in files may be from a topic, too.
    if len(message.headers) > 1:
        (first, path), (second, number) = message.headers[-2:]
        if first == FILE and second in NUMBERS:
            return {"file": (path or b"").decode(), NUMBERS[second]: int(number or b"0")}
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": message.timestamp,
    }
