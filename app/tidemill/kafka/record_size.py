"""What a topic takes: one record that it refuses would stop the whole query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.errors import KeyRequired, ResultTooLarge
from tidemill.inference.codec import MAX_UNCOMPRESSED_BYTES, record_size_upper_bound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.errors import MessageError
    from tidemill.inference.message import Header

# Kafka compresses with Java's libraries, at these levels by default; it may need a little more.
LEVELS = {"gzip": 6, "zstd": 3}
# In these Kafka compresses each block for itself, and finds no repetition beyond it.
BLOCKS = {"lz4": 64 * 1024, "snappy": 32 * 1024}
ALLOWANCE = 0.9
# Java's Snappy does worse than this one on text of few different characters: 15% were seen.
ALLOWANCES = {"snappy": 0.75}


@dataclass(frozen=True, slots=True)
class TopicLimits:
    """What a topic asks of every record; the default takes any record, as files do.

    `max_bytes` bounds a record as each of `codecs` (name and level) leaves it: the producer's, and
    the topic's own if that is another, since the broker then compresses anew and measures again.
    """

    max_bytes: int | None = None
    codecs: tuple[tuple[str, int | None], ...] = ()
    needs_key: bool = False

    def fit(self, key: bytes | None, value: bytes | None, headers: list[Header]) -> bool:
        """Tell whether the topic surely takes a record of this size."""
        return self.max_bytes is None or all(
            fits(key, value, headers, limit=self.max_bytes, compression=codec, level=level)
            for codec, level in self.codecs
        )

    def refusal(
        self, key: bytes | None, value: bytes, headers: list[Header]
    ) -> MessageError | None:
        """Return why the topic refuses a result; None if it takes it."""
        if self.needs_key and key is None:
            return KeyRequired()
        if self.max_bytes is None or self.fit(key, value, headers):
            return None
        return ResultTooLarge(record_size_upper_bound(key, value, headers), self.max_bytes)


ANY_RECORD = TopicLimits()


def fits(
    key: bytes | None,
    value: bytes | None,
    headers: list[Header],
    *,
    limit: int,
    compression: str,
    level: int | None = None,
) -> bool:
    """Tell whether a record, compressed with a codec as Kafka names it, surely takes `limit` bytes.

    Without a level it is Kafka's default.
    """
    size = record_size_upper_bound(key, value, headers)
    if size > MAX_UNCOMPRESSED_BYTES:
        return False
    if compression == "none":
        return size <= limit
    if compressed_at_most(size) <= limit:
        return True
    parts = [key, value, *(part for name, content in headers for part in (name.encode(), content))]
    # Of LZ4, the fast default is the level that compresses least.
    at = LEVELS.get(compression) if level is None or compression not in LEVELS else level
    codec = pa.Codec(compression, compression_level=at)
    whole = b"".join(part for part in parts if part)
    step = BLOCKS.get(compression, len(whole))
    blocks = (whole[start : start + step] for start in range(0, len(whole), step))
    packed = sum(len(codec.compress(block, asbytes=True)) for block in blocks)
    return packed <= ALLOWANCES.get(compression, ALLOWANCE) * limit


def compressed_at_most(size: int) -> int:
    """Return the most bytes that compression makes of so many.

    Noise grows by a header, and by at most 5 bytes for each block of 16 KiB (gzip).
    """
    return size + size // 1000 + 100


def batch_bytes(topics: Iterable[TopicLimits], most: int) -> int:
    """Return how many bytes a producer may batch, uncompressed, so that every topic takes them."""
    bounds = [int(0.99 * topic.max_bytes) - 100 for topic in topics if topic.max_bytes is not None]
    return max(1, min(most, *bounds))
