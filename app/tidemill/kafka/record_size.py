"""Decide whether a topic accepts a record. One that it refused would stop the whole query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from tidemill.errors import KeyRequired, ResultTooLarge
from tidemill.kafka.client_options import MAX_UNCOMPRESSED_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidemill.errors import MessageError
    from tidemill.inference.message import Header

# The levels that Kafka's Java libraries use by default; their output may be a little larger.
LEVELS = {"gzip": 6, "zstd": 3}
# With these codecs Kafka compresses each block separately.
BLOCKS = {"lz4": 64 * 1024, "snappy": 32 * 1024}
ALLOWANCE = 0.9
# Java's Snappy compresses text of few different characters up to 15% worse than this one.
ALLOWANCES = {"snappy": 0.75}


@dataclass(frozen=True, slots=True)
class TopicLimits:
    """A topic's limits for each record; the default accepts any record, as a file does.

    `max_bytes` limits the record compressed with each of `codecs` (name and level): the producer's,
    and the topic's if it differs, because the broker then recompresses and measures again.
    """

    max_bytes: int | None = None
    codecs: tuple[tuple[str, int | None], ...] = ()
    needs_key: bool = False

    def refusal(
        self, key: bytes | None, value: bytes | None, headers: Sequence[Header]
    ) -> MessageError | None:
        """Return the reason if the topic may refuse this record, or None."""
        if self.needs_key and key is None:
            return KeyRequired()
        if self.max_bytes is None or all(
            fits(key, value, headers, limit=self.max_bytes, compression=codec, level=level)
            for codec, level in self.codecs
        ):
            return None
        return ResultTooLarge(record_size_upper_bound(key, value, headers), self.max_bytes)


ANY_RECORD = TopicLimits()


class OutputTopic(NamedTuple):
    """The topic of results or of dead letters, and what it accepts."""

    name: str
    limits: TopicLimits


def fits(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[Header],
    *,
    limit: int,
    compression: str,
    level: int | None = None,
) -> bool:
    """Tell whether a compressed record certainly fits into `limit` bytes.

    `compression` is the codec by Kafka's name. Without a level, Kafka's default applies.
    """
    size = record_size_upper_bound(key, value, headers)
    if size > MAX_UNCOMPRESSED_BYTES:
        return False
    if compression == "none":
        return size <= limit
    if compressed_at_most(size) <= limit:
        return True
    parts = [key, value, *(part for name, content in headers for part in (name.encode(), content))]
    # LZ4's fast default compresses least of all its levels.
    codec_level = LEVELS.get(compression) if level is None or compression not in LEVELS else level
    codec = pa.Codec(compression, compression_level=codec_level)
    whole = b"".join(part for part in parts if part)
    step = BLOCKS.get(compression, len(whole))
    blocks = (whole[start : start + step] for start in range(0, len(whole), step))
    packed = sum(len(codec.compress(block, asbytes=True)) for block in blocks)
    return packed <= ALLOWANCES.get(compression, ALLOWANCE) * limit


def record_size_upper_bound(
    key: bytes | None, value: bytes | None, headers: Sequence[Header]
) -> int:
    """Return the upper bound of a record's size that Kafka's producer checks before it sends.

    A batch of one record has 61 bytes of overhead, the record 21, and each part a length prefix of
    at most 5 bytes: `AbstractRecords.estimateSizeInBytesUpperBound` of Kafka's clients, record
    format version 2.
    """
    parts = [key, value, *(part for name, content in headers for part in (name.encode(), content))]
    return 61 + 21 + 5 + sum(5 + len(part or b"") for part in parts)


def compressed_at_most(size: int) -> int:
    """Return an upper bound of the compressed size.

    Incompressible data grows by a header, and by at most 5 bytes for each block of 16 KiB (gzip).
    """
    return size + size // 1000 + 100


def batch_bytes(topics: Iterable[TopicLimits], maximum: int) -> int:
    """Return the uncompressed batch size at which every topic accepts a producer's batches."""
    bounds = [int(0.99 * topic.max_bytes) - 100 for topic in topics if topic.max_bytes is not None]
    return max(1, min(maximum, *bounds))
