"""Plan a batch: cut its input into splits, each of which one worker reads from start to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The name of the format of topics, whose pieces are ranges of offsets.
KAFKA = "kafka"
# Each split takes some time to begin, and its last part may be small.
SPLIT_BYTES = 32 * 1024 * 1024


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of a file, a table or a partition.

    Attributes:
        path: The file, or the number of the partition.
        start: The first byte, row group or offset.
        stop: The one after the last; None is the end of the file.
        before: How many lines or rows of the file precede it.
        size: Its size in bytes or offsets, for the progress.

    """

    path: str
    start: int = 0
    stop: int | None = None
    before: int = 0
    size: int = 0


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input: its format, where it is, the version of a table, and what shows a change.

    `warnings` say what a reader of the results should know.
    """

    format: str
    location: str
    version: int | None = None
    fingerprint: str = ""
    warnings: list[str] = []


class Plan(msgspec.Struct, frozen=True):
    """What a batch does; a later run of the same command continues with it.

    Attributes:
        source: The input.
        splits: Its pieces, in the order of the input.
        target: The format of the output, and where it is.
        models: The digest of the models.
        part_rows: The fewest rows that are committed together.
        id: The run's own, which no other run has.
        version: The version of Tidemill; another one may cut other parts.

    """

    source: Source
    splits: list[list[Piece]]
    target: tuple[str, str]
    models: str
    part_rows: int
    id: str
    version: str = ""

    @property
    def size(self) -> int:
        """The size of the input, in bytes or offsets."""
        return sum(piece.size for split in self.splits for piece in split)


def offset_ranges(plan: Plan) -> dict[int, range]:
    """Return the offsets of each partition that the batch of a topic reads."""
    ranges: dict[int, range] = {}
    for split in plan.splits:
        for piece in split:
            partition, stop = int(piece.path), piece.stop or 0
            known = ranges.get(partition, range(piece.start, stop))
            ranges[partition] = range(min(known.start, piece.start), max(known.stop, stop))
    return ranges


def in_splits(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    """Group pieces, so that many small files are one split."""
    split: list[Piece] = []
    total = 0
    for piece in pieces:
        if split and total + piece.size > size:
            yield split
            split, total = [], 0
        split.append(piece)
        total += piece.size
    if split:
        yield split
