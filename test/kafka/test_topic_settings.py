"""No record stops the job permanently, whatever the topics' settings."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from pyspark.errors import StreamingQueryException

from dev.pipeline.pipeline import Pipeline, message
from dev.pipeline.records import INPUT_LIMIT
from tidemill.errors import RecordRefused
from tidemill.inference.model import Limits
from tidemill.kafka.topics import Topic
from tidemill.spark.failures import translate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from pyspark.sql import SparkSession

    from dev.kafka.broker import Broker
    from dev.kafka.servers import KafkaServers
    from dev.pipeline.records import Record
    from tidemill.inference.model import ModelSpec

    MakePipeline = Callable[..., Pipeline]

DELIVERIES = ["at-least-once", "exactly-once"]
# The overhead of a batch of one record without key and headers: 61 bytes for the batch, and
# varints for the record's parts.
FRAME = 61 + 3 + 1 + 1 + 1 + 1 + 3 + 1
NOISE = random.Random(5)  # noqa: S311 - no secret


@pytest.fixture
def make_pipeline(broker: Broker, make_topic: Callable[..., str], tmp_path: Path) -> MakePipeline:
    """Create pipelines of topics with settings, by default Kafka's own."""

    def make(output: dict[str, str] | None = None, dead: dict[str, str] | None = None) -> Pipeline:
        out, letters = make_topic("out", configs=output), make_topic("dead", configs=dead)
        return Pipeline(broker, make_topic("in"), out, letters, tmp_path)

    return make


def outcomes(pipeline: Pipeline) -> dict[int, Record]:
    """Return the outcome of each message by offset; assert that each has exactly one."""
    records = [*pipeline.results(), *pipeline.dead_letters()]
    by_offset = {record.source[1]: record for record in records}
    assert sorted(by_offset) == sorted(record.source[1] for record in records)
    assert set(by_offset) == {record.offset for record in pipeline.inputs()}
    return by_offset


def errors(by_offset: dict[int, Record]) -> list[tuple[str | None, bool]]:
    """Return the error class of each outcome, and whether it has a body."""
    ordered = [by_offset[offset] for offset in sorted(by_offset)]
    return [(r.header("tidemill.error.class"), r.value is not None) for r in ordered]


def padded(size: int, letters: str = "x") -> bytes:
    """Return a valid message of a certain size, with a text of these letters."""
    rest = len(message(1, "")["value"])
    text = "".join(NOISE.choices(letters, k=size - rest))
    return message(1, text)["value"]


@pytest.mark.parametrize("delivery", DELIVERIES)
class TestDefaults:
    """Topics with Kafka's defaults accept the largest inputs and their outcomes."""

    def test_largest_inputs(
        self,
        delivery: str,
        spark: SparkSession,
        make_pipeline: MakePipeline,
        model: Callable[..., ModelSpec],
    ) -> None:
        """Inputs of the maximum size, compressed or not, have exactly one outcome."""
        pipeline = make_pipeline()
        largest = INPUT_LIMIT - FRAME
        pipeline.produce(
            message(0),
            {"value": padded(largest)},
            {"value": padded(largest, "abcdefghijklmnop")},
            {"value": NOISE.randbytes(largest)},
            {"value": b"\xff" * largest},
        )
        with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE"):
            pipeline.produce({"value": b"\xff" * (largest + 1)})
        # Gzip halves these digits. The second message arrives with zstd, and gzip must shrink it.
        digits = "0123456789abcdef"
        pipeline.produce({"value": padded(1_750_000, digits)}, compression="gzip")
        pipeline.produce({"value": b"not JSON " * 200_000}, compression="zstd")
        pipeline.produce({"value": padded(1_000_000, digits)}, message("end", "huge"))
        pipeline.answer_all(
            spark, [model("FlakyModel", limits=Limits(chars=2_000_000))], delivery=delivery
        )
        assert errors(outcomes(pipeline)) == [
            (None, True),
            (None, True),
            (None, True),
            ("InvalidUtf8", False),
            ("InvalidUtf8", True),
            ("ResultTooLarge", False),
            ("InvalidJson", True),
            (None, True),
            ("ResultTooLarge", True),
        ]


@pytest.mark.parametrize("delivery", DELIVERIES)
class TestSettings:
    """An outcome that a topic's settings refuse becomes a dead letter, and the job continues."""

    def test_compacted_uncompressed_and_small(
        self,
        delivery: str,
        spark: SparkSession,
        make_pipeline: MakePipeline,
        model: Callable[..., ModelSpec],
    ) -> None:
        """A message whose result does not fit by key, codec or size gets a dead letter."""
        pipeline = make_pipeline(
            output={
                "cleanup.policy": "compact",
                "max.message.bytes": "5000",
                "message.timestamp.type": "LogAppendTime",
                "message.timestamp.before.max.ms": "0",
            },
            dead={
                "compression.type": "uncompressed",
                "segment.bytes": "1048576",
                "message.timestamp.before.max.ms": "120000",
            },
        )
        letters = "".join(map(chr, range(0x100, 0x2000)))
        # Results of 1 kB of noise: a batch of the default size would be too large.
        small = [
            {"key": b"k", **message(n, "".join(NOISE.choices(letters, k=300)))} for n in range(200)
        ]
        bad = {"key": b"k", "value": b"not JSON " * 200_000}
        pipeline.produce(*small, message("no key"), {"key": b"", **message("empty key")})
        pipeline.produce(bad, {**bad, "key": None}, {"key": b"k", **bad}, compression="gzip")
        pipeline.produce({"key": b"k", "value": b"x" * (1_048_576 - FRAME)}, message("end"))
        pipeline.answer_all(spark, [model("Upper")], delivery=delivery)
        by_offset = outcomes(pipeline)
        assert errors(by_offset) == [
            *[(None, True)] * 200,
            ("KeyRequired", True),
            (None, True),
            *[("InvalidJson", False)] * 3,
            ("InvalidJson", False),
            ("KeyRequired", True),
        ]
        assert by_offset[200].value == message("no key")["value"]


@pytest.mark.parametrize("delivery", DELIVERIES)
class TestChangedSettings:
    """If a topic's settings change while the job runs, it stops once."""

    def test_restart(
        self,
        delivery: str,
        spark: SparkSession,
        make_pipeline: MakePipeline,
        model: Callable[..., ModelSpec],
    ) -> None:
        """The error explains the refusal, and the next start uses the new settings."""
        pipeline = make_pipeline()
        before = {name: Topic(1).limits("gzip") for name in (pipeline.output, pipeline.dead)}
        alter(pipeline.broker, pipeline.dead, {"compression.type": "uncompressed"})
        alter(pipeline.broker, pipeline.output, {"cleanup.policy": "compact"})
        pipeline.produce(message("no key"), {"key": b"k", **message("key")})
        pipeline.produce({"value": b"not JSON " * 200_000}, compression="gzip")
        with pytest.raises(StreamingQueryException) as caught:
            pipeline.answer_all(spark, [model("Upper")], delivery=delivery, limits=before)
        error = translate(caught.value, "")
        assert isinstance(error, RecordRefused), error
        pipeline.answer_all(spark, [model("Upper")], delivery=delivery)
        records = [*pipeline.results(), *pipeline.dead_letters()]
        by_offset = {record.source[1]: record for record in records}
        assert errors(by_offset) == [("KeyRequired", True), (None, True), ("InvalidJson", False)]


def alter(broker: KafkaServers, topic: str, settings: dict[str, Any]) -> None:
    """Change settings of a topic."""
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
    admin.close()
