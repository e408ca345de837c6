"""Read the row groups of Parquet files, and give all files of an output one schema."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from tidemill.batch.block import BLOCK_ROWS
from tidemill.batch.formats.json_lines import encode_dead_letters
from tidemill.batch.formats.table import as_text, blocks, results_table
from tidemill.batch.plan import Piece
from tidemill.batch.storage import Storage, broken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidemill.batch.block import Block, Part
    from tidemill.batch.plan import Source
    from tidemill.batch.storage import File


def cut(storage: Storage, file: File, size: int | None) -> Iterator[Piece]:
    """Cut a file between row groups into pieces of about `size` bytes.

    Raises:
        InputUnreadable: The file is not Parquet.

    """
    with broken(file.path):
        metadata = parquet.read_metadata(file.path, filesystem=storage.filesystem)
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
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd")
    return file.getvalue(), encode_dead_letters(part)


def unify(filesystem: pa.fs.FileSystem, paths: Sequence[str]) -> pa.Schema:
    """Give all files the same columns and types: rewrite those that differ.

    A model may return an empty list or a whole number in all rows of one file and not in others.
    A column whose types have nothing in common becomes text.
    """
    schemas = [parquet.read_schema(path, filesystem=filesystem) for path in paths]
    schema = _common(schemas)
    for path, actual in zip(paths, schemas, strict=True):
        if actual != schema:
            table = conform(parquet.read_table(path, filesystem=filesystem), schema)
            with filesystem.open_output_stream(f"{path}.new") as file:
                parquet.write_table(table, file, compression="zstd")
            filesystem.move(f"{path}.new", path)
    return schema


def _common(schemas: Iterable[pa.Schema]) -> pa.Schema:
    fields: dict[str, list[pa.Field]] = {}
    for schema in schemas:
        for field in schema:
            fields.setdefault(field.name, []).append(field)
    return pa.schema([pa.field(name, _common_type(found)) for name, found in fields.items()])


def _common_type(fields: Sequence[pa.Field]) -> pa.DataType:
    distinct = list(dict.fromkeys(field.with_metadata(None) for field in fields))
    try:
        merged = pa.unify_schemas(
            [pa.schema([field]) for field in distinct], promote_options="permissive"
        )
    except pa.ArrowException:
        return pa.string()
    return _without_null(merged.field(0).type)


def _without_null(kind: pa.DataType) -> pa.DataType:
    """Replace the type of columns that are always null, which few programs can read."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_null(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct(
            [
                field.with_type(_without_null(field.type))
                for field in map(kind.field, range(kind.num_fields))
            ]
        )
    return kind


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns and types of a schema, which `unify` has found."""
    columns = []
    for field in schema:
        if field.name not in table.schema.names:
            columns.append(pa.nulls(table.num_rows, field.type))
        elif table.schema.field(field.name).type == field.type:
            columns.append(table.column(field.name))
        else:
            values = table.column(field.name).to_pylist()
            is_text = pa.types.is_string(field.type)
            columns.append(as_text(values) if is_text else pa.array(values, field.type))
    return pa.table(columns, schema)
