"""Read messages from lines of text, and write dead letters as lines of JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from tidemill.inference.headers import encode_headers
from tidemill.inference.readable import readable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from tidemill.inference.message import Failure, Message

READ_BYTES = 1024 * 1024
# A character outside Unicode's White_Space property.
NOT_BLANK = re.compile(r"[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def is_blank(line: bytes) -> bool:
    """Tell whether a line has only white space."""
    return not NOT_BLANK.search(line.decode(errors="replace"))


def arrived_lines(source: BinaryIO) -> Iterator[list[bytes]]:
    """Yield the complete lines that have arrived, without their ends, as soon as there are any.

    A line ends with a line feed, a carriage return, or both.
    """
    parts: list[bytes] = []  # of a line that may go on
    while chunk := source.read1(READ_BYTES):  # type: ignore[attr-defined]
        held = parts[-1] if parts else b""
        parts.append(chunk)
        if b"\n" in chunk or b"\r" in chunk or held.endswith(b"\r"):
            lines = b"".join(parts).splitlines(keepends=True)
            # A carriage return at the end may belong to a line feed that has not arrived.
            parts = [] if lines[-1].endswith(b"\n") else [lines.pop()]
            if lines:
                yield [without_end(line) for line in lines]
    if parts:
        yield [without_end(b"".join(parts))]


def without_end(line: bytes) -> bytes:
    """Return a line without the characters that end it."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def encode_dead_letter(message: Message, failure: Failure) -> bytes:
    """Return a dead letter as JSON: value (or value_base64 if it is not UTF-8) and headers."""
    letter: dict[str, object] = {**readable("value", message.value or b"")}
    headers = encode_headers(message, failure)
    letter["headers"] = {
        name: (content or b"").decode(errors="replace") for name, content in headers
    }
    return msgspec.json.encode(letter)
