"""Every message has exactly one outcome, whatever it is."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from hostile import corpus
from jobs import answer_all

from app.streaming.preflight import ADDED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Record
    from pyspark.sql import SparkSession

    from app.inference.model import ModelSpec
    from deploy.local.broker import Broker

INPUT_LIMIT = 1_048_588
LIMIT = INPUT_LIMIT + ADDED_BYTES


def header(record: Record, name: str) -> str | None:
    """Return the last header of a name, as readers take it."""
    found = [value for key, value in record.headers if key == name]
    return found[-1].decode() if found and found[-1] is not None else None


def source(record: Record) -> tuple[int, int]:
    """Return the partition and offset that an outcome names."""
    return int(header(record, "tidemill.source.partition") or -1), int(
        header(record, "tidemill.source.offset") or -1
    )


class TestHostileMessages:
    """A thousand messages that want to stop a batch or get lost."""

    def test_in_is_out_and_dead_letters(
        self,
        spark: SparkSession,
        broker: Broker,
        model: Callable[..., ModelSpec],
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        read_topic: Callable[[str], list[Record]],
        tmp_path: Path,
    ) -> None:
        """Each has one result or one dead letter, which has its key, value and headers."""
        limit = {"max.message.bytes": str(LIMIT)}
        topics = (
            make_topic("hostile", partitions=3),
            make_topic("results", partitions=3, configs=limit),
            make_topic("dead", configs=limit),
        )
        produce(topics[0], *corpus(1200))
        specs = [
            model("Capricious"),
            model("Upper", name="french", match={"lang": "fr"}, max_chars=50),
        ]
        answer_all(spark, specs, broker.bootstrap_servers, topics, tmp_path / "checkpoint")

        inputs, results, dead = (read_topic(topic) for topic in topics)
        assert len(inputs) >= 1200
        assert len(inputs) == len(results) + len(dead)
        outcomes = {source(record): record for record in results + dead}
        assert set(outcomes) == {(record.partition, record.offset) for record in inputs}
        for record in inputs:
            outcome = outcomes[record.partition, record.offset]
            assert outcome.key == record.key
            assert outcome.headers[: len(record.headers)] == record.headers
            assert header(outcome, "tidemill.source.topic") == topics[0]
            assert header(outcome, "tidemill.source.timestamp") == str(record.timestamp)
            if outcome in dead:
                assert outcome.value == record.value
                assert len((header(outcome, "tidemill.error.message") or "").encode()) <= 1024
            else:
                said = json.loads(outcome.value or b"")
                assert said["error_message"] is None
                assert said["model"] == header(outcome, "tidemill.model")

        # The corpus is hostile enough: every kind of failure is in it, and good messages too.
        classes = Counter(header(record, "tidemill.error.class") for record in dead)
        assert set(classes) == {
            "NullValue", "InvalidUtf8", "InvalidJson", "MissingField", "WrongType", "NoModel",
            "InputTooLong", "PredictionFailed", "WrongOutputCount", "InvalidOutput",
            "ResultTooLarge",
        }  # fmt: skip
        assert len(results) > 100

    def test_a_record_that_was_small_only_compressed(
        self,
        spark: SparkSession,
        broker: Broker,
        model: Callable[..., ModelSpec],
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        read_topic: Callable[[str], list[Record]],
        tmp_path: Path,
    ) -> None:
        """A value of 6 MB that its sender compressed below the topic's limit is a dead letter."""
        from confluent_kafka import Producer  # noqa: PLC0415 - one that compresses

        limit = {"max.message.bytes": str(LIMIT)}
        topics = (
            make_topic("bomb"),
            make_topic("out", configs=limit),
            make_topic("d", configs=limit),
        )
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "compression.type": "zstd",
                "message.max.bytes": 8_000_000,
            }
        )
        value = b"not JSON " * 700_000
        producer.produce(topics[0], value=value)
        assert producer.flush(30) == 0
        answer_all(
            spark, [model("Upper")], broker.bootstrap_servers, topics, tmp_path / "checkpoint"
        )
        (dead,) = read_topic(topics[2])
        assert dead.value == value


class TestOrder:
    """Order per key is kept."""

    def test_results_of_a_key_keep_their_order(
        self,
        spark: SparkSession,
        broker: Broker,
        model: Callable[..., ModelSpec],
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        read_topic: Callable[[str], list[Record]],
        tmp_path: Path,
    ) -> None:
        """Over several micro-batches too, with few messages in each."""
        limit = {"max.message.bytes": str(LIMIT)}
        topics = (
            make_topic("keys", partitions=4),
            make_topic("out", partitions=4, configs=limit),
            make_topic("dead", configs=limit),
        )
        produce(
            topics[0],
            *(
                {
                    "key": b"key %d" % (i % 10),
                    "value": json.dumps({"text": "t", "lang": "en", "uuid": str(i)}).encode(),
                }
                for i in range(600)
            ),
        )
        progress = answer_all(
            spark,
            [model("Upper")],
            broker.bootstrap_servers,
            topics,
            tmp_path / "checkpoint",
            max_offsets_per_trigger=200,
        )
        assert progress["batchId"] >= 2
        seen: dict[bytes | None, list[int]] = {}
        for record in read_topic(topics[1]):
            seen.setdefault(record.key, []).append(int(json.loads(record.value or b"")["uuid"]))
        assert sum(map(len, seen.values())) == 600
        assert all(numbers == sorted(numbers) for numbers in seen.values())
