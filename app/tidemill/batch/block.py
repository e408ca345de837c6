"""Define what a batch reads at a time, and what it commits at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from tidemill.errors import MessageError
    from tidemill.inference.message import Message, Outcome

# Rows that are predicted together, and the most bytes of their values, unless one row is larger.
# The first blocks are smaller, so that a slow model's first answers are soon there.
FIRST_ROWS, BLOCK_ROWS = 32, 512
BLOCK_BYTES = 1024 * 1024
PART_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of an input, in their order.

    Attributes:
        messages: A message for each row.
        size: How much of the input they are, in the unit of its plan.
        columns: Returns the rows as a table, if the input has columns.
        unreadable: The errors of rows that hold no message, by their index.
        missing: How many offsets the topic no longer had when they were to be read.

    """

    messages: list[Message]
    size: int = 0
    columns: Callable[[], pa.Table] | None = None
    unreadable: Mapping[int, MessageError] = field(default_factory=dict)
    missing: int = 0


@dataclass(slots=True)
class Part:
    """The blocks that are committed together, and their outcomes once they are known."""

    blocks: list[Block] = field(default_factory=list)
    outcomes: list[list[Outcome]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(len(block.messages) for block in self.blocks)

    @property
    def size(self) -> int:
        """The size of the rows, in the unit of the plan."""
        return sum(block.size for block in self.blocks)

    @property
    def missing(self) -> int:
        """The number of offsets that the topic no longer had."""
        return sum(block.missing for block in self.blocks)

    def pairs(self) -> Iterator[tuple[Message, Outcome]]:
        """Yield each message with its outcome."""
        for block, outcomes in zip(self.blocks, self.outcomes, strict=True):
            yield from zip(block.messages, outcomes, strict=True)


def block_rows() -> Iterator[int]:
    """Yield the most rows of the first block, of the second one, and so on without end."""
    rows = min(FIRST_ROWS, BLOCK_ROWS)
    while True:
        yield rows
        rows = min(2 * rows, BLOCK_ROWS)


def in_blocks(messages: Iterable[tuple[Message, int]]) -> Iterator[Block]:
    """Group messages, each with the position in the input after it, into blocks.

    Where a block ends depends on the messages alone, so that a second run makes the same blocks.
    """
    sizes = block_rows()
    most = next(sizes)
    block: list[Message] = []
    size = begin = end = 0
    for message, end in messages:
        block.append(message)
        size += len(message.value or b"")
        if len(block) == most or size >= BLOCK_BYTES:
            yield Block(block, end - begin)
            block, size, begin, most = [], 0, end, next(sizes)
    if block:
        yield Block(block, end - begin)


def in_parts(blocks: Iterable[Block], rows: int) -> Iterator[Part]:
    """Group blocks into parts of at least so many rows or `PART_BYTES`; the last may be smaller."""
    part, count, size = Part(), 0, 0
    for block in blocks:
        part.blocks.append(block)
        count += len(block.messages)
        size += sum(len(message.value or b"") for message in block.messages)
        if count >= rows or size >= PART_BYTES:
            yield part
            part, count, size = Part(), 0, 0
    if part.blocks:
        yield part
