"""Read the row groups of Parquet files, and give all files of an output one schema."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from tidemill.batch.block import BLOCK_ROWS
from tidemill.batch.formats.columns import common_schema, conform, without_null
from tidemill.batch.formats.json_lines import encode_dead_letters
from tidemill.batch.formats.rows import blocks, check_names
from tidemill.batch.formats.table import results_table
from tidemill.batch.plan import Piece
from tidemill.batch.staging import RESULTS
from tidemill.batch.storage import Storage, broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.batch.block import Block, Part
    from tidemill.batch.plan import Source
    from tidemill.batch.staging import Staging
    from tidemill.batch.storage import File

SUFFIX = ".parquet"


def cut(storage: Storage, file: File, size: int | None) -> Iterator[Piece]:
    """Cut a file between row groups into pieces of about `size` bytes.

    Raises:
        InputUnreadable: The file is not Parquet, or two columns have the same name.

    """
    with broken(file.path):
        metadata = parquet.read_metadata(file.path, filesystem=storage.filesystem)
        check_names(file.path, metadata.schema.to_arrow_schema().names)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    start = before = rows = taken = 0
    for index, group in enumerate(groups, 1):
        rows += group.num_rows
        taken += group.total_byte_size
        if index == len(groups) or (size is not None and taken >= size):
            share = round(file.size * rows / (metadata.num_rows or 1))
            yield Piece(file.path, start, index, before, share)
            start, before, rows, taken = index, before + rows, 0, 0


def read(source: Source, piece: Piece) -> Iterator[Block]:
    """Yield the rows of some row groups.

    Raises:
        InputUnreadable: The file is broken.

    """
    storage = Storage(source.location)
    with broken(piece.path), parquet.ParquetFile(piece.path, filesystem=storage.filesystem) as file:
        groups = range(piece.start, piece.stop or 0)
        rows = sum(file.metadata.row_group(i).num_rows for i in groups)
        batches = file.iter_batches(BLOCK_ROWS, row_groups=list(groups))
        yield from blocks(piece.path, piece.before, batches, piece.size / (rows or 1))


def encode(part: Part, *, typed: bool = True) -> tuple[bytes, bytes]:
    """Return the results as a Parquet file, and the dead letters as lines of JSON."""
    table = results_table(part, typed=typed)
    if not table.num_rows:
        return b"", encode_dead_letters(part)
    return to_bytes(table), encode_dead_letters(part)


def unify(
    staging: Staging, suited: Callable[[pa.DataType], pa.DataType] = without_null
) -> list[str]:
    """Give all files of the results the same columns, of suited types: rewrite those that differ.

    A model may return an empty list or a whole number in all rows of one file and not in others.
    Return the paths of the files.
    """
    filesystem = staging.filesystem
    paths = [path for path in staging.paths(RESULTS) if path.endswith(SUFFIX)]
    schemas = [parquet.read_schema(path, filesystem=filesystem) for path in paths]
    common = common_schema(schemas)
    schema = pa.schema([field.with_type(suited(field.type)) for field in common])
    for path, actual in zip(paths, schemas, strict=True):
        if actual != schema:
            table = conform(parquet.read_table(path, filesystem=filesystem), schema)
            staging.write(f"{RESULTS}/{path.rpartition('/')[2]}", to_bytes(table))
    return paths


def to_bytes(table: pa.Table) -> bytes:
    """Return a table as a Parquet file."""
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd")
    return file.getvalue()
