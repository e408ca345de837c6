"""Every message has exactly one outcome, whatever its content."""

from __future__ import annotations

import codecs
import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from pyspark.errors import StreamingQueryException

from dev.pipeline.malformed import corpus
from dev.pipeline.messages import encode_message
from dev.pipeline.pipeline import message
from tidemill.errors import DataLoss
from tidemill.inference.model import Limits
from tidemill.spark.failures import translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec


def exact(value: bytes | None) -> Any:  # noqa: ANN401 - any JSON value
    """Decode JSON, but keep the text of numbers."""
    text = (value or b"").removeprefix(codecs.BOM_UTF8)
    return json.loads(text, parse_int="int {}".format, parse_float="float {}".format)


class TestMalformedMessages:
    """Malformed messages neither stop a batch nor get lost."""

    @pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
    def test_result_or_dead_letter(
        self,
        delivery: str,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
    ) -> None:
        """Each has one result or one dead letter, with its key, headers and (dead letter) value."""
        short = {"value": b'{"lang": "fr", "text": "x", "extra": 1}'}  # violates the schema
        pipeline.produce(*corpus(1200), short)
        specs = [
            model("FlakyModel", echo=["extra"]),
            model(
                "Upper",
                name="french",
                match={"lang": "fr"},
                limits=Limits(chars=50),
                schema={"type": "string", "minLength": 2},
                id_field="extra",
            ),
        ]
        pipeline.answer_all(spark, specs, delivery=delivery)

        inputs, results, dead = pipeline.inputs(), pipeline.results(), pipeline.dead_letters()
        assert len(inputs) >= 1200
        assert len(inputs) == len(results) + len(dead)
        outcomes = {record.source: record for record in results + dead}
        assert set(outcomes) == {(record.partition, record.offset) for record in inputs}
        for record in inputs:
            outcome = outcomes[record.partition, record.offset]
            assert outcome.key == record.key
            assert outcome.headers[: len(record.headers)] == record.headers
            assert outcome.header("tidemill.source.topic") == pipeline.source
            assert outcome.header("tidemill.source.timestamp") == str(record.timestamp)
            if outcome.topic == pipeline.dead:
                assert outcome.value == record.value
                assert len((outcome.header("tidemill.error.message") or "").encode()) <= 1024
            else:
                result, sent = exact(outcome.value), exact(record.value)
                assert result["error_message"] is None
                assert result["model"] == outcome.header("tidemill.model")
                for name in {"uuid", "lang", "extra"} & set(result) & set(sent):
                    assert result[name] == sent[name]

        # The corpus contains every kind of failure, and valid messages too.
        classes = Counter(record.header("tidemill.error.class") for record in dead)
        assert set(classes) == {
            "NullValue", "InvalidUtf8", "InvalidJson", "MissingField", "WrongType", "NoModel",
            "InputTooLong", "InvalidInput", "PredictionFailed", "WrongOutputCount", "InvalidOutput",
            "ResultTooLarge",
        }  # fmt: skip
        assert len(results) > 100
        marked = codecs.BOM_UTF8 + encode_message("a byte order mark")
        assert marked in {record.value for record in inputs} - {record.value for record in dead}

    @pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
    def test_highly_compressed_record(
        self,
        delivery: str,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
    ) -> None:
        """A value of 6 MB that its producer compressed below the limit is copied unchanged."""
        value = b"not JSON " * 700_000
        pipeline.produce({"value": value}, compression="zstd")
        pipeline.answer_all(spark, [model("Upper")], delivery=delivery)
        (dead,) = pipeline.dead_letters()
        assert dead.value == value

    @pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(os.urandom(500_000) * 10, id="beyond gzip's window"),
            pytest.param(b"x" * 70_000_000, id="beyond the producer's buffer"),
        ],
    )
    def test_record_that_stays_too_large(
        self,
        value: bytes,
        delivery: str,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
    ) -> None:
        """A record that cannot be copied gets a dead letter that tells its source offset."""
        records = message(1), {"value": value}, message(2)
        pipeline.produce(*({**record, "partition": 1} for record in records), compression="zstd")
        pipeline.answer_all(spark, [model("Upper")], delivery=delivery)
        assert len(pipeline.results()) == 2
        (dead,) = pipeline.dead_letters()
        assert (dead.value, dead.source) == (None, (1, 1))
        assert dead.header("tidemill.error.class") in {"InvalidJson", "InvalidUtf8"}
        assert str(len(value))[:3] in (dead.header("tidemill.error.omitted") or "")


class TestOrder:
    """The order per key is kept."""

    def test_results_of_a_key(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """The order is kept across micro-batches."""
        pipeline.produce(*({"key": b"key %d" % (i % 10), **message(i)} for i in range(600)))
        progress = pipeline.answer_all(spark, [model("Upper")], max_offsets_per_trigger=200)
        assert progress["batchId"] >= 2
        seen: dict[bytes | None, list[int]] = {}
        for record in pipeline.results():
            seen.setdefault(record.key, []).append(int(json.loads(record.value or b"")["uuid"]))
        assert sum(map(len, seen.values())) == 600
        assert all(numbers == sorted(numbers) for numbers in seen.values())

    def test_parallelism_beyond_the_partitions(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """With more tasks than partitions the order is lost, but no message."""
        pipeline.produce(*({"key": b"one key", **message(i)} for i in range(600)))
        pipeline.answer_all(spark, [model("Upper")], parallelism=8)
        assert sorted(
            int(json.loads(record.value or b"")["uuid"]) for record in pipeline.results()
        ) == [*range(600)]


class TestDataLoss:
    """Records that Kafka deleted before they were processed are not skipped silently."""

    def test_the_query_stops(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """The query stops, and the error tells what to do."""
        pipeline.produce(*({**message(i), "partition": 0} for i in range(5)))
        pipeline.answer_all(spark, [model("Upper")])
        pipeline.produce(*({**message(i), "partition": 0} for i in range(5)))
        admin = KafkaAdminClient(bootstrap_servers=pipeline.broker.bootstrap_servers)
        admin.delete_records({TopicPartition(pipeline.source, 0): 8})
        admin.close()
        with pytest.raises(StreamingQueryException) as caught:
            pipeline.answer_all(spark, [model("Upper")])
        error = translate(caught.value, "the/checkpoint")
        assert isinstance(error, DataLoss)
        assert "the/checkpoint" in error.hint
        pipeline.answer_all(spark, [model("Upper")], fail_on_data_loss=False)
        assert len(pipeline.results()) == 7
