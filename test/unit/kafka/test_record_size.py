from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder

from tidemill.errors import KeyRequired, ResultTooLarge
from tidemill.kafka import record_size as sizes
from tidemill.kafka.client_options import MAX_UNCOMPRESSED_BYTES
from tidemill.kafka.record_size import (
    ANY_RECORD,
    TopicLimits,
    batch_bytes,
    compressed_at_most,
    fits,
    record_size_upper_bound,
)
from tidemill.kafka.topics import Topic

COMPRESSIONS = ("gzip", "zstd", "lz4", "snappy")
# Java's libraries compress these in blocks that know nothing of one another.
BLOCK = {"lz4": 64 * 1024, "snappy": 32 * 1024}
LEAST = 65_536 + 1024

Headers = list[tuple[str, bytes | None]]
PART = st.none() | st.binary(max_size=300)
HEADERS = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=20), PART), max_size=5)
RECORD = st.tuples(PART, PART, HEADERS)


def noise(size: int) -> bytes:
    """Return incompressible bytes."""
    return random.Random(size).randbytes(size)  # noqa: S311 - no secret


def batch_size(key: bytes | None, value: bytes | None, headers: Headers, compression: str) -> int:
    """Return the size of a compressed batch of one record, which the topic limits."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=10**9,
    )  # fmt: skip
    builder.append(0, 1_700_000_000_000, key, value, headers)
    record = bytes(builder.build()[61:])
    step = BLOCK.get(compression, len(record))
    blocks = (record[start : start + step] for start in range(0, len(record), step))
    return 61 + sum(len(pa.compress(block, codec=compression, asbytes=True)) for block in blocks)


class TestAnyRecord:
    """The predictions hold for any record."""

    @given(RECORD)
    def test_files(self, record: tuple[bytes | None, bytes | None, Headers]) -> None:
        """Files accept any record."""
        assert ANY_RECORD.refusal(*record) is None
        assert ANY_RECORD.refusal(record[0], record[1] or b"", record[2]) is None

    @pytest.mark.parametrize("compression", [*COMPRESSIONS, "none"])
    @given(RECORD, st.integers(0, 1000))
    @example((None, None, []), 0)
    def test_within(
        self,
        compression: str,
        record: tuple[bytes | None, bytes | None, Headers],
        above: int,
    ) -> None:
        """An uncompressed record within the limit fits, if it leaves room for overhead."""
        size = record_size_upper_bound(*record)
        limit = above + (size if compression == "none" else compressed_at_most(size))
        assert fits(*record, limit=limit, compression=compression)

    @given(RECORD, st.integers(1, 1000))
    def test_uncompressed(
        self, record: tuple[bytes | None, bytes | None, Headers], below: int
    ) -> None:
        """Without compression, nothing above the limit fits."""
        assert not fits(*record, limit=record_size_upper_bound(*record) - below, compression="none")

    @pytest.mark.parametrize("compression", COMPRESSIONS)
    @given(RECORD, st.integers(1, 400), st.integers(0, 2 * LEAST))
    def test_compressed(
        self,
        compression: str,
        record: tuple[bytes | None, bytes | None, Headers],
        times: int,
        random_bytes: int,
    ) -> None:
        """A record that fits is below the limit as Kafka's compressed batch."""
        key, value, headers = record
        whole = (value or b"x") * times + noise(random_bytes)
        if fits(key, whole, headers, limit=LEAST, compression=compression):
            compressed = batch_size(key, whole, headers, compression)
            assert min(compressed, record_size_upper_bound(key, whole, headers)) <= LEAST


@pytest.mark.parametrize("compression", COMPRESSIONS)
class TestCompression:
    """A record above the limit may fit once compressed."""

    @pytest.mark.parametrize("size", [LEAST, LEAST + 1, 2 * LEAST, 3_000_000])
    def test_incompressible(self, compression: str, size: int) -> None:
        """Noise never fits, whether in the key, the value or a header."""
        parts: list[tuple[bytes | None, bytes | None, Headers]] = [
            (noise(size), None, []),
            (None, noise(size), []),
            (None, None, [("h", noise(size))]),
            (noise(size // 2), noise(size // 2 + 1), []),
        ]
        for part in parts:
            assert not fits(*part, limit=LEAST, compression=compression)

    @pytest.mark.parametrize("where", ["key", "value", "header", "name"])
    def test_compressible(self, compression: str, where: str) -> None:
        """A compressible record fits, and its batch is below the limit."""
        text = b"every word of this is said again " * 10_000
        records: dict[str, tuple[bytes | None, bytes | None, Headers]] = {
            "key": (text, None, []),
            "value": (None, text, []),
            "header": (None, None, [("h", text)]),
            "name": (None, None, [(text.decode(), None)]),
        }
        assert record_size_upper_bound(*records[where]) > LEAST
        assert fits(*records[where], limit=LEAST, compression=compression)
        assert batch_size(*records[where], compression) <= LEAST

    def test_allowance(self, compression: str) -> None:
        """A tenth of the limit allows for other libraries; with Snappy, a quarter."""
        limit, share = 200_000, 0.75 if compression == "snappy" else 0.9
        packed = noise(int((share - 0.02) * limit)) + bytes(60_000)
        assert fits(None, packed, [], limit=limit, compression=compression)
        packed = noise(int((share + 0.01) * limit)) + bytes(60_000)
        assert not fits(None, packed, [], limit=limit, compression=compression)

    def test_more_than_the_producer_holds(
        self, compression: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A record above the producer's limit never fits, however well it compresses."""
        monkeypatch.setattr(sizes, "MAX_UNCOMPRESSED_BYTES", 300_000)
        assert fits(None, bytes(299_000), [], limit=LEAST, compression=compression)
        assert not fits(None, bytes(300_000), [], limit=LEAST, compression=compression)


class TestRepeats:
    """Distant repetitions compress only as well as in Kafka's own client."""

    @pytest.mark.parametrize(
        ("compression", "period", "kafka"),
        [
            # Bytes of a batch by kafka-clients 3.9.2, for noise that repeats up to 2 MB.
            ("gzip", 20_000, 34_993),
            ("gzip", 60_000, 1_980_697),
            ("snappy", 20_000, 1_262_426),
            ("snappy", 33_000, 1_980_699),
            ("lz4", 20_000, 628_361),
            ("lz4", 33_000, 1_012_151),
            ("lz4", 60_000, 1_822_151),
            ("zstd", 60_000, 60_432),
            ("zstd", 1_000_000, 1_000_294),
        ],
    )
    def test_as_kafka(self, compression: str, period: int, kafka: int) -> None:
        """A record never fits into less than Kafka's client needs, but does with a margin."""
        value = noise(period) * (2_000_000 // period)
        needed = min(kafka, compressed_at_most(record_size_upper_bound(None, value, [])))
        room = 1.4 if compression == "snappy" else 1.2
        assert not fits(None, value, [], limit=needed - 1, compression=compression)
        assert fits(None, value, [], limit=int(room * kafka), compression=compression)


class TestRoom:
    """The producer has a limit of its own."""

    def test_bytes(self) -> None:
        """It is 64 MiB."""
        assert MAX_UNCOMPRESSED_BYTES == 64 * 1024 * 1024


class TestNoise:
    """Compression makes noise larger, which matters at a topic's limit."""

    @pytest.mark.parametrize("compression", COMPRESSIONS)
    @pytest.mark.parametrize("size", [0, 100, 16_384, 1_048_000, 5_000_000])
    def test_growth(self, compression: str, size: int) -> None:
        """Noise never grows by more than the allowance."""
        value = noise(size)
        assert batch_size(None, value, [], compression) <= compressed_at_most(
            record_size_upper_bound(None, value, [])
        )

    @pytest.mark.parametrize("compression", COMPRESSIONS)
    def test_at_the_limit(self, compression: str) -> None:
        """Noise of exactly the limit does not fit, because a broker refuses it."""
        value = noise(1_048_588 - record_size_upper_bound(None, b"", []))
        assert record_size_upper_bound(None, value, []) == 1_048_588
        assert fits(None, value, [], limit=1_048_588, compression="none")
        assert not fits(None, value, [], limit=1_048_588, compression=compression)


class TestTopics:
    """A record must fit both as it is sent and as the topic stores it."""

    WORDS = b"every word of this is said again " * 55_000  # 1.8 MB, and little compressed

    @pytest.mark.parametrize("producer", [*COMPRESSIONS, "none"])
    @pytest.mark.parametrize("topic", [*COMPRESSIONS, "producer", "uncompressed"])
    def test_codecs(self, producer: str, topic: str) -> None:
        """Both codecs must compress it below the limit."""
        limits = Topic(1, {"compression.type": topic}).limits(producer)
        refused = limits.refusal(None, self.WORDS, []) is not None
        assert refused == ("none" in producer or "un" in topic)
        assert limits.refusal(None, b"small", []) is None

    @pytest.mark.parametrize(
        ("codec", "weak", "strong"), [("gzip", "1", "9"), ("zstd", "-100", "19")]
    )
    def test_levels(self, codec: str, weak: str, strong: str) -> None:
        """The topic's level matters if the broker recompresses."""
        words = b"".join(b"word %d " % random.Random(n).randrange(5000) for n in range(30_000))  # noqa: S311

        def takes(level: str, producer: str) -> bool:
            settings = {"compression.type": codec, f"compression.{codec}.level": level}
            least = len(pa.compress(words, codec=codec, asbytes=True)) / 0.85
            settings["max.message.bytes"] = str(int(least))
            return Topic(1, settings).limits(producer).refusal(None, words, []) is None

        other = "zstd" if codec == "gzip" else "gzip"
        assert takes(strong, other)
        assert not takes(weak, other)
        assert takes(weak, codec)

    def test_level_of_lz4(self) -> None:
        """LZ4's levels compress at least as well as its default."""
        limits = Topic(1, {"compression.type": "lz4", "compression.lz4.level": "17"}).limits("gzip")
        assert limits.refusal(None, self.WORDS, []) is None

    def test_segments(self) -> None:
        """A batch must also fit into a segment."""
        topic = Topic(1, {"segment.bytes": "1048576", "max.message.bytes": "1048588"})
        assert (topic.bound, topic.max_bytes) == ("segment.bytes", 1_048_576)

    def test_refusals(self) -> None:
        """A result is refused first for its missing key, then for its size."""
        limits = TopicLimits(1000, (("none", None),), needs_key=True)
        assert limits.refusal(b"", b"small", []) is None
        assert isinstance(limits.refusal(None, bytes(1000), []), KeyRequired)
        refusal = limits.refusal(b"", bytes(1000), [])
        assert isinstance(refusal, ResultTooLarge)
        assert str(record_size_upper_bound(b"", bytes(1000), [])) in str(refusal)
        assert "1000" in str(refusal)


class TestBatches:
    """A topic limits batches, so the producer must limit its own."""

    def test_smallest_topic(self) -> None:
        """The topic with the lowest limit counts, less the overhead of compression."""
        topics = [TopicLimits(50_000), TopicLimits(10_000), ANY_RECORD]
        size = batch_bytes(topics, 16_384)
        assert 9_000 < size < compressed_at_most(size) <= 10_000
        assert batch_bytes([TopicLimits(50_000)], 16_384) == 16_384
        assert batch_bytes([TopicLimits(5)], 16_384) == 1


def varint(number: int) -> int:
    """Return the bytes of a zigzag variable-length integer."""
    zigzag = (number << 1) ^ (number >> 31)
    return max(1, -(-zigzag.bit_length() // 7))


def sized(part: bytes | None) -> int:
    """Return the bytes of a part after its length: -1 for none."""
    return varint(-1) if part is None else varint(len(part)) + len(part)


def kafka_bytes(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> int:
    """Return the bytes of a batch of one record in Kafka's format, version 2.

    https://kafka.apache.org/documentation/#recordbatch
    """
    body = 1 + varint(0) + varint(0) + sized(key) + sized(value) + varint(len(headers))
    body += sum(sized(name.encode()) + sized(content) for name, content in headers)
    return 61 + varint(body) + body


class TestRecordSize:
    """The upper bound is never below the real size."""

    @given(st.none() | st.binary(max_size=9000), st.none() | st.binary(max_size=9000), HEADERS)
    def test_enough(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
    ) -> None:
        """It covers a batch of one record, with little to spare."""
        size = record_size_upper_bound(key, value, headers)
        least = kafka_bytes(key, value, headers)
        assert least <= size <= least + 26 + 5 * (2 + 2 * len(headers))

    def test_as_kafka_counts(self) -> None:
        """It is the estimate that Kafka's producer compares with max.request.size."""
        assert (
            record_size_upper_bound(b"k", b"vv", [("é", None)])
            == 61 + 21 + 5 + (5 + 1) + (5 + 2) + (5 + 2) + 5
        )
