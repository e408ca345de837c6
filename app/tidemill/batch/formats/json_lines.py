"""Read each line of a text file as a message, and write a line for each outcome."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from tidemill.batch.block import in_blocks
from tidemill.batch.origin import SOURCE, origin, origin_headers
from tidemill.batch.plan import Piece
from tidemill.batch.storage import BUFFER_BYTES, Storage, compression, open_input
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.lines import arrived_lines, encode_dead_letter, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from tidemill.batch.block import Block, Part
    from tidemill.batch.plan import Source
    from tidemill.batch.storage import File


def cut(storage: Storage, file: File, size: int | None) -> Iterator[Piece]:
    """Cut a file at the ends of lines into pieces of about `size` bytes, and count their lines.

    A compressed file stays whole.
    """
    if size is None or file.size <= size or compression(file.path):
        yield Piece(file.path, size=file.size)
        return
    start = position = lines = before = 0
    with open_input(storage, file.path) as (source, _):
        while chunk := source.read(BUFFER_BYTES):
            while chunk.endswith(b"\r") and (more := source.read(1)):
                chunk += more
            end = 1 + max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
            if end and position + end - start >= size:
                lines += _line_ends(chunk[:end])
                stop = position + end
                yield Piece(file.path, start, stop, before, stop - start)
                start, before, lines = stop, before + lines, 0
            lines += _line_ends(chunk[end:] if start == position + end else chunk)
            position += len(chunk)
    if position > start:
        yield Piece(file.path, start, position, before, position - start)


def _line_ends(chunk: bytes) -> int:
    return chunk.count(b"\n") + chunk.count(b"\r") - chunk.count(b"\r\n")


def read(source: Source, piece: Piece) -> Iterator[Block]:
    """Yield a message for each line, byte for byte, except for blank lines."""
    return in_blocks(_messages(Storage(source.location), piece))


def _messages(storage: Storage, piece: Piece) -> Iterator[tuple[Message, int]]:
    """Yield each message with about how many bytes have been read after it."""
    with open_input(storage, piece.path, piece.start) as (file, raw):
        stretch = file if piece.stop is None else Stretch(file, piece.stop - piece.start)
        is_compressed = compression(piece.path) is not None
        position = 0
        lines = chain.from_iterable(arrived_lines(stretch))  # type: ignore[arg-type]
        for number, line in enumerate(lines, piece.before + 1):
            position += len(line) + 1
            if not is_blank(line):
                headers = origin_headers(piece.path, "line", number)
                done = raw.tell() if is_compressed else min(position, piece.size)
                yield Message(line, headers=headers), done


class Stretch:
    """A file up to some number of bytes from here."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Take the file and the number of bytes."""
        self._file = file
        self._left = size

    def read1(self, size: int) -> bytes:
        """Read what is there, or nothing at the end."""
        chunk: bytes = self._file.read1(min(size, self._left))  # type: ignore[attr-defined]
        self._left -= len(chunk)
        return chunk


def encode(part: Part) -> tuple[bytes, bytes]:
    """Return the lines of the results, which end with where each came from, and of dead letters."""
    results = (
        _with_origin(outcome.value, message)
        for message, outcome in part.pairs()
        if isinstance(outcome, Prediction)
    )
    return b"".join(results), encode_dead_letters(part)


def encode_dead_letters(part: Part) -> bytes:
    """Return a line for each dead letter."""
    return b"".join(
        encode_dead_letter(message, outcome) + b"\n"
        for message, outcome in part.pairs()
        if isinstance(outcome, Failure)
    )


def _with_origin(result: bytes, message: Message) -> bytes:
    """Add a last field to a JSON object that has at least one."""
    return b"%b,%b\n" % (result[:-1], msgspec.json.encode({SOURCE: origin(message)})[1:])
