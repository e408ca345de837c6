"""Read the rows of files or tables as messages, for whoever wants no outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.batch.formats import FORMATS, detect, parse
from tidemill.batch.origin import origin
from tidemill.errors import InputUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator


def values(place: str) -> Iterator[bytes]:
    """Yield each row of an input, a path or `FORMAT:PATH`, as JSON.

    Raises:
        InputUnreadable: The input is missing or broken, or a row is malformed.

    """
    name, location = parse(place)
    name = name or detect(location)
    if name not in FORMATS:
        raise InputUnreadable(place, "it is not a file or table", "Name a file, folder or table.")
    source, pieces = FORMATS[name].plan(location, None)
    for piece in pieces:
        for block in FORMATS[name].read(source, piece):
            for index, error in block.unreadable.items():
                where = origin(block.messages[index])
                raise InputUnreadable(where["file"], f"line {where['line']}: {error}")
            yield from (message.value or b"null" for message in block.messages)
