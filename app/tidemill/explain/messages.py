"""Take the message to explain from a file, or from the dead letter that holds it."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from itertools import chain, islice
from typing import TYPE_CHECKING

import msgspec

from tidemill.dead_letters import letters
from tidemill.errors import InputUnreadable, MessageOmitted, NoLine
from tidemill.explain.origin import Origin
from tidemill.inference.message import Message
from tidemill.lines import arrived_lines, is_blank
from tidemill.predict import LINE

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from tidemill.dead_letters.letters import DeadLetter

GZIP = ".gz"
# `tidemill batch` reads these, too, but a row of them is no line.
OTHERS = re.compile(r"(?i)\.(csv|tsv|parquet)(\.(gz|zst|bz2))?$|\.(zst|bz2)$")


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """A dead letter as `tidemill predict` and `tidemill batch` write it."""

    headers: dict[str, str]
    value: str | None = None
    value_base64: str | None = None


def open_lines(path: Path) -> BinaryIO:
    """Open a file of lines, which is compressed if its name says so.

    Raises:
        InputUnreadable: It cannot be opened, or is not a file of JSON lines.

    """
    if OTHERS.search(path.name):
        hint = (
            "Decompress it; or name a file of dead letters, which tidemill batch makes of any rows."
        )
        raise InputUnreadable(path, "it is not a file of JSON lines", hint)
    try:
        return gzip.open(path) if path.suffix == GZIP else path.open("rb")  # type: ignore[return-value] # it reads bytes
    except OSError as error:
        hint = "Name a file of JSON lines with --input, or - for standard input."
        raise InputUnreadable(path, error.strerror or error, hint) from None


def read_line(name: str, lines: BinaryIO, number: int) -> tuple[Message, Origin]:
    """Return the message in a line, which counts from 1; `name` is the file's.

    Raises:
        NoLine: There is no such line, or it is blank.
        InputUnreadable: The file is damaged.
        MessageOmitted: The line is a dead letter without its message.

    """
    try:
        line = next(islice(chain.from_iterable(arrived_lines(lines)), number - 1, None), None)
    except (OSError, EOFError, zlib.error) as error:
        raise InputUnreadable(name, error, "The file may be damaged or incomplete.") from None
    if line is None:
        raise NoLine(name, number, "the file ends before it")
    if is_blank(line):
        raise NoLine(name, number, "it is blank, so it has no outcome")
    origin = Origin(f"line {number} of {name}", {"file": name, "line": number})
    try:
        found = msgspec.json.decode(line, type=Line)
        value = base64.b64decode(found.value_base64) if found.value_base64 else None
    except (ValueError, RecursionError):
        found, value = Line({}), None
    value = found.value.encode() if found.value is not None else value
    headers = tuple((header, text.encode()) for header, text in found.headers.items())
    if letter := letters.read(Message(value, headers=headers)):
        return message_within(letter, origin)
    return Message(line, headers=((LINE, b"%d" % number),)), origin


def message_within(letter: DeadLetter, origin: Origin) -> tuple[Message, Origin]:
    """Return the message that a dead letter holds.

    Raises:
        MessageOmitted: It does not hold its message.

    """
    message = Message(
        letter.value,
        letter.key,
        letter.headers,
        letter.source_topic,
        letter.source_partition,
        letter.source_offset,
        letter.source_timestamp,
    )
    if letter.omitted:
        topic, partition, offset = message.topic, message.partition, message.offset
        raise MessageOmitted(
            origin.text,
            f"{topic}/{partition}/{offset}",
            "Explain the message where it is: "
            f"tidemill explain --topic {topic} --partition {partition} --offset {offset}",
        )
    return message, Origin(origin.text, origin.place, letter)
