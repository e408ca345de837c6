"""What a topic takes: one record that it refuses would stop the whole query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from app.inference.codec import MAX_UNCOMPRESSED_BYTES, record_size

if TYPE_CHECKING:
    from app.inference.message import Header

# Kafka's producer compresses with Java's libraries, at these levels; it may need a little more.
LEVELS = {"gzip": 6, "zstd": 3}
# In these the producer compresses each block for itself, and finds no repetition beyond it.
BLOCKS = {"lz4": 64 * 1024, "snappy": 32 * 1024}
ALLOWANCE = 0.9


def fits(
    key: bytes | None,
    value: bytes | None,
    headers: list[Header],
    *,
    limit: int,
    compression: str | None,
) -> bool:
    """Tell whether a topic with `max.message.bytes` of `limit` surely takes a record.

    `compression` is the producer's; None stands for files, which take any size.
    """
    size = record_size(key, value, headers)
    if compression is None or size <= limit:
        return True
    if compression == "none" or size > MAX_UNCOMPRESSED_BYTES:
        return False
    parts = [key, value, *(part for name, content in headers for part in (name.encode(), content))]
    codec = pa.Codec(compression, compression_level=LEVELS.get(compression))
    whole = b"".join(part for part in parts if part)
    step = BLOCKS.get(compression, len(whole))
    blocks = (whole[start : start + step] for start in range(0, len(whole), step))
    packed = sum(len(codec.compress(block, asbytes=True)) for block in blocks)
    return packed <= ALLOWANCE * limit
