"""Read and write Delta tables, with the package deltalake and without Spark."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from tidemill.batch.block import BLOCK_ROWS
from tidemill.batch.formats.columns import with_children
from tidemill.batch.formats.parquet import unify
from tidemill.batch.formats.rows import blocks
from tidemill.batch.paths import absolute
from tidemill.batch.plan import Piece, Source
from tidemill.batch.staging import RESULTS
from tidemill.batch.storage import broken
from tidemill.errors import InputUnreadable, OutputUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyarrow.dataset import Dataset, Fragment

    from tidemill.batch.block import Block
    from tidemill.batch.staging import Staging

REPLACED = {
    pa.float16(): pa.float32(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}


def plan(location: str, _: int | None) -> tuple[Source, list[Piece]]:
    """Return the files of the table's latest version, which a later change does not affect.

    Raises:
        InputUnreadable: There is no such table, or it has a feature that is not supported.

    """
    from deltalake import DeltaTable  # noqa: PLC0415 - an extra

    location = absolute(location)
    with delta_errors(location):
        table = DeltaTable(location)
        version, identity = table.version(), str(table.metadata().id)
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        _dataset(location, version, identity)
    # The log has the paths percent-encoded.
    sizes = {unquote(action["path"]): action["size_bytes"] for action in actions}
    pieces = [Piece(path, size=size) for path, size in sorted(sizes.items())]
    return Source("delta", location, version, identity), pieces


def read(source: Source, piece: Piece) -> Iterator[Block]:
    """Yield the rows of a file of the table, with the columns that it is partitioned by.

    Raises:
        InputUnreadable: The file is broken.

    """
    with delta_errors(source.location), broken(piece.path):
        dataset = _dataset(source.location, source.version or 0, source.fingerprint)
        fragment = _fragments(source.location, source.version or 0, source.fingerprint)[piece.path]
        scanner = fragment.scanner(schema=dataset.schema, batch_size=BLOCK_ROWS)
        rows = fragment.count_rows()
        yield from blocks(piece.path, 0, scanner.to_batches(), piece.size / (rows or 1))


def finish(staging: Staging) -> None:
    """Make a table of Parquet files, without copying them.

    Raises:
        OutputUnusable: Delta refuses the names of the columns or of the folder.

    """
    from deltalake import convert_to_deltalake  # noqa: PLC0415 - an extra

    if unify(staging, suited):
        try:
            # A killed run may have done it.
            convert_to_deltalake(staging.uri(RESULTS), mode="ignore")
        except Exception as error:  # noqa: BLE001 - it also raises plain ones
            reason = str(error).partition("\n")[0]
            hint = "Delta refuses it: name another output, such as parquet:PATH."
            raise OutputUnusable(staging.location, reason, hint) from None


def suited(kind: pa.DataType) -> pa.DataType:
    """Return a type that a table can have in place of one that it cannot; times become text."""
    if pa.types.is_null(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind):
        return pa.string()
    if pa.types.is_decimal256(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) and kind.tz:
        return pa.timestamp("us", "UTC")
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(suited(kind.value_type))
    return REPLACED.get(kind) or with_children(kind, suited)


@lru_cache(maxsize=4)
def _fragments(location: str, version: int, identity: str) -> dict[str, Fragment]:
    """Return the files of a table by their paths."""
    return {each.path: each for each in _dataset(location, version, identity).get_fragments()}


@lru_cache(maxsize=4)
def _dataset(location: str, version: int, _: str) -> Dataset:
    """Open a version of the table with an identity, which another one may replace."""
    from deltalake import DeltaTable  # noqa: PLC0415 - an extra

    return DeltaTable(location, version=version).to_pyarrow_dataset()


@contextmanager
def delta_errors(location: str) -> Iterator[None]:
    """Translate what deltalake raises.

    Raises:
        InputUnreadable: The table cannot be read.

    """
    from deltalake.exceptions import DeltaError  # noqa: PLC0415 - an extra

    try:
        yield
    except (DeltaError, OSError, ValueError) as error:
        raise InputUnreadable(location, str(error).splitlines()[0]) from None
