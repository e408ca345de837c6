"""Read each row of a CSV file as a message with its cells as fields."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from tidemill.batch.block import BLOCK_BYTES, Block, block_rows
from tidemill.batch.origin import origin_headers
from tidemill.batch.plan import Piece
from tidemill.batch.storage import Storage, compression, open_input
from tidemill.errors import InputUnreadable, InvalidUtf8, MalformedRow
from tidemill.inference.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill.batch.plan import Source
    from tidemill.batch.storage import File
    from tidemill.errors import MessageError

DELIMITERS = ",;\t|"
# The rows at the beginning of a file that show which columns hold numbers or booleans.
SAMPLE_ROWS = 1000
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")  # RFC 8259, section 6
BOOLEAN = re.compile(r"true|false", re.IGNORECASE)
# A cell beyond this is a quotation mark that nothing closes.
MAX_CELL = 64 * 1024 * 1024
# Marks the columns of a table whose text is that of numbers.
NUMBERS = {b"tidemill": b"number"}


@dataclass(frozen=True, slots=True)
class Column:
    """The name of a column, and the pattern of its cells if they are no text."""

    name: str
    kind: re.Pattern[str] | None

    def value(self, cell: str) -> msgspec.Raw | str | None:
        """Return a cell as a value for JSON; a number keeps its digits."""
        if not cell:
            return None
        if self.kind and self.kind.fullmatch(cell):
            return msgspec.Raw(cell.lower().encode() if self.kind is BOOLEAN else cell.encode())
        return cell


@dataclass(frozen=True, slots=True)
class Row:
    """A row: the number of its first line, its cells and its text, and why it is malformed."""

    line: int
    cells: list[str]
    text: str
    error: MessageError | None

    def problem(self, columns: int) -> MessageError | None:
        """Return why the row is no message of so many columns, or None if it is one."""
        if self.error:
            return self.error
        if error := _decoding_error(self.text):
            return InvalidUtf8(error)
        if len(self.cells) != columns:
            return MalformedRow(f"has {len(self.cells)} cells, but the file has {columns} columns")
        return None


def cut(_: Storage, file: File, __: int | None) -> Iterator[Piece]:
    """Keep a file whole: a line break may be within a cell."""
    yield Piece(file.path, size=file.size)


def read(source: Source, piece: Piece) -> Iterator[Block]:
    """Yield the rows of a file, whose first row names the columns.

    A column is of numbers or booleans if all of its cells among the first `SAMPLE_ROWS` are; its
    other cells stay text. A number keeps its digits. An empty cell is null.

    Raises:
        InputUnreadable: The file is broken, or its first row does not name the columns.

    """
    with open_input(Storage(source.location), piece.path) as (file, raw):
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        rows = _rows(text, piece.path)
        header = next(rows, None)
        names = _names(header.cells if header else [], piece.path)
        sample = list(islice(rows, SAMPLE_ROWS))
        columns = [Column(name, _kind(i, sample)) for i, name in enumerate(names)]
        begin = 0
        for block in _in_blocks(chain(sample, rows)):
            position = raw.tell() if compression(piece.path) else begin + _length(block)
            yield _block(piece.path, columns, block, position - begin)
            begin = position


def _rows(text: io.TextIOWrapper, path: str) -> Iterator[Row]:
    """Yield each row that is not empty.

    Raises:
        InputUnreadable: A quote is never closed, so that the rest of the file is one cell.

    """
    csv.field_size_limit(MAX_CELL)
    first = text.readline()
    delimiter = max(DELIMITERS, key=lambda each: _unquoted(first).count(each))
    taken: list[str] = []

    def take_lines() -> Iterator[str]:
        for line in chain([first], text):
            taken.append(line)
            yield line

    reader = csv.reader(take_lines(), delimiter=delimiter, strict=True)
    line, cells, error = 1, [""], None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            if "unexpected end" in str(problem) or "field limit" in str(problem):
                raise InputUnreadable(path, f"line {line}: a quote is never closed") from None
            cells, error = [""], MalformedRow(f"is not CSV: {problem}")
        if cells:
            yield Row(line, cells, "".join(taken).rstrip("\r\n"), error)
        line, error = line + len(taken), None
        taken.clear()


def _unquoted(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def _names(header: Sequence[str], path: str) -> list[str]:
    """Return the columns' names; a nameless one gets the name of its place.

    Raises:
        InputUnreadable: A name occurs twice, or is not text.

    """
    names = [name.strip() or f"column_{number}" for number, name in enumerate(header, 1)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputUnreadable(path, f"two columns are named {twice!r}")
    if any(map(_decoding_error, names)):
        raise InputUnreadable(path, "the first row, which names the columns, is not UTF-8")
    return names


def _kind(index: int, rows: Sequence[Row]) -> re.Pattern[str] | None:
    """Return the pattern of a column's cells, or None if it is of text."""
    cells = [row.cells[index] for row in rows if index < len(row.cells) and row.cells[index]]
    kinds = (kind for kind in (NUMBER, BOOLEAN) if all(map(kind.fullmatch, cells)))
    return next(kinds, None) if cells else None


def _length(rows: Sequence[Row]) -> int:
    return sum(len(row.text) + 1 for row in rows)


def _in_blocks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    sizes = block_rows()
    most = next(sizes)
    block: list[Row] = []
    size = 0
    for row in rows:
        block.append(row)
        size += _length([row])
        if len(block) == most or size >= BLOCK_BYTES:
            yield block
            block, size, most = [], 0, next(sizes)
    if block:
        yield block


def _block(path: str, columns: Sequence[Column], rows: Sequence[Row], size: int) -> Block:
    errors = {i: error for i, row in enumerate(rows) if (error := row.problem(len(columns)))}
    messages = [
        Message(
            row.text.encode(errors="surrogateescape") if i in errors else _as_json(columns, row),
            headers=origin_headers(path, "line", row.line),
        )
        for i, row in enumerate(rows)
    ]
    nothing = [""] * len(columns)  # the result table does not need the cells of broken rows
    cells = [nothing if i in errors else row.cells for i, row in enumerate(rows)]
    return Block(messages, size, partial(_table, columns, cells), errors)


def _as_json(columns: Sequence[Column], row: Row) -> bytes:
    return msgspec.json.encode(
        {column.name: column.value(cell) for column, cell in zip(columns, row.cells, strict=True)}
    )


def _decoding_error(text: str) -> UnicodeDecodeError | None:
    if text.isascii():
        return None
    try:
        text.encode(errors="surrogateescape").decode()
    except UnicodeDecodeError as error:
        return error
    return None


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> pa.Table:
    """Return the cells as text."""
    fields = [
        pa.field(column.name, pa.string(), metadata=NUMBERS if column.kind is NUMBER else None)
        for column in columns
    ]
    cells = [
        pa.array([cell or None for cell in column], pa.string())
        for column in zip(*rows, strict=True)
    ]
    return pa.table(cells, pa.schema(fields))
