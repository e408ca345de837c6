"""`tidemill explain` on a real broker shows what the real job wrote."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from dev.pipeline.pipeline import message
from tidemill.cli import cli
from tidemill.errors import MessageOmitted, NoRecord, TidemillError
from tidemill.kafka.ranges import offset_ranges
from tidemill.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline
    from dev.pipeline.records import Record
    from tidemill.inference.model import ModelSpec

    Explain = Callable[..., tuple[int, dict[str, Any]]]

TIMES = ("ts_start", "ts_end", "process_time")


@pytest.fixture
def explain(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Explain:
    """Explain a record: `explain(topic, partition, offset)`; return exit code and document."""
    monkeypatch.chdir(pipeline.folder)

    def run(topic: str, partition: int, offset: int, **settings: str) -> tuple[int, dict[str, Any]]:
        place = ("--topic", topic, "--partition", str(partition), "--offset", str(offset))
        result = CliRunner().invoke(
            cli, ["explain", *place, "--json"], env=pipeline.environment("Upper", **settings)
        )
        if isinstance(result.exception, TidemillError):
            raise result.exception
        return result.exit_code, json.loads(result.stdout)

    return run


def written(facts: dict[str, Any]) -> tuple[object, ...]:
    """Return the key, the headers and the value that are explained, without times."""
    headers = [(each["name"], each["value"]) for each in facts["headers"]]
    return facts["key"], headers, timeless(facts["value"])


def found(record: Record) -> tuple[object, ...]:
    """Return the same of a record that the job wrote."""
    key = None if record.key is None else record.key.decode()
    headers = [(name, value and value.decode()) for name, value in record.headers]
    return key, headers, timeless((record.value or b"").decode())


def timeless(value: str) -> object:
    """Return a result without its times, or any other value as it is."""
    try:
        return {name: part for name, part in json.loads(value).items() if name not in TIMES}
    except ValueError:
        return value


class TestExplain:
    """One record is taken through all steps, and nothing in Kafka changes."""

    def test_as_the_job(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        explain: Explain,
    ) -> None:
        """Results and dead letters are those that the job wrote; a dead letter leads back."""
        pipeline.produce(
            {**message(1), "partition": 0, "key": b"k", "headers": [("a", b"1"), ("a", None)]},
            {**message(2, "raise"), "partition": 0},
            {"value": b"no JSON", "partition": 1},
        )
        pipeline.answer_all(spark, [model("Upper", name="test")])
        groups = set(consumer_groups(pipeline))
        dead = {record.source: record for record in pipeline.dead_letters()}
        (result,) = pipeline.results()

        code, shown = explain(pipeline.source, 0, 0)
        assert (code, shown["outcome"]) == (0, "result")
        assert written(shown["steps"]["encode"]) == found(result)
        for place, step in (((0, 1), "model"), ((1, 0), "decode")):
            code, shown = explain(pipeline.source, *place)
            assert (code, shown["failed_step"]) == (3, step)
            assert written(shown["steps"]["encode"]) == found(dead[place])
            letter = dead[place]
            _, again = explain(pipeline.dead, letter.partition, letter.offset)
            assert again["steps"]["record"]["dead_letter"]["error"] == letter.header(
                "tidemill.error.class"
            )
            assert written(again["steps"]["encode"]) == found(letter)
        # The broker may forget empty groups of earlier tests meanwhile.
        assert set(consumer_groups(pipeline)) <= groups

    def test_no_record(self, pipeline: Pipeline, explain: Explain) -> None:
        """An offset without a record is an error that names those that there are."""
        sent = [{**message(n), "partition": 0} for n in range(2)]
        pipeline.produce(*sent)
        abort(pipeline)  # at 2, and its marker at 3
        with pytest.raises(NoRecord, match="no record follows; the partition holds offsets 0 to 3"):
            explain(pipeline.source, 0, 2)
        pipeline.produce(sent[0])
        for place, reason in (
            ((0, 2), "the next record is at 4; the partition holds offsets 0 to 4"),
            ((0, 5), "the partition holds offsets 0 to 4"),
            ((1, 0), "the partition is empty"),
            ((3, 0), "has partitions 0 to 2"),
        ):
            with pytest.raises(NoRecord, match=reason):
                explain(pipeline.source, *place)
        with pytest.raises(NoRecord, match="there is no topic absent"):
            explain("absent", 0, 0)
        _, shown = explain(pipeline.source, 0, 2, KAFKA__ISOLATION_LEVEL="read_uncommitted")
        assert shown["steps"]["record"]["offset"] == 2

    def test_refused(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        explain: Explain,
        make_topic: Callable[..., str],
    ) -> None:
        """What the output topic does not take fails at the last step, as in the job."""
        compacted = make_topic("out", configs={"cleanup.policy": "compact"})
        pipeline = replace(pipeline, output=compacted)
        pipeline.produce({**message(1), "partition": 0})
        pipeline.answer_all(spark, [model("Upper", name="test")])
        (letter,) = pipeline.dead_letters()
        code, shown = explain(pipeline.source, 0, 0, STREAM__OUTPUT_TOPIC=compacted)
        assert (code, shown["failed_step"]) == (3, "encode")
        assert shown["steps"]["encode"]["error"]["class"] == "KeyRequired"
        assert written(shown["steps"]["encode"]) == found(letter)

    def test_omitted(self, pipeline: Pipeline, explain: Explain, produce: Any) -> None:  # noqa: ANN401 - a fixture
        """A dead letter without its message names the record to explain."""
        headers = {
            "tidemill.source.topic": pipeline.source,
            "tidemill.source.partition": "1",
            "tidemill.source.offset": "7",
            "tidemill.error.class": "ResultTooLarge",
            "tidemill.error.message": "said",
            "tidemill.error.omitted": "all",
        }
        produce(pipeline.dead, {"headers": [(n, v.encode()) for n, v in headers.items()]})
        with pytest.raises(MessageOmitted) as raised:
            explain(pipeline.dead, 0, 0)
        assert f"--topic {pipeline.source} --partition 1 --offset 7" in raised.value.hint


def consumer_groups(pipeline: Pipeline) -> list[str]:
    """Return the names of all groups on the broker."""
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap_servers})
    return [group.group_id for group in admin.list_consumer_groups().result().valid]


def abort(pipeline: Pipeline) -> None:
    """Send a record to partition 0 in a transaction that is aborted; wait for its marker."""
    kafka = KafkaSettings(bootstrap_servers=pipeline.broker.bootstrap_servers)
    end = offset_ranges(kafka, pipeline.source)[0].stop + 2
    producer = Producer(
        {
            "bootstrap.servers": pipeline.broker.bootstrap_servers,
            "transactional.id": f"{pipeline.source}-aborted",
        }
    )
    producer.init_transactions(120)
    producer.begin_transaction()
    producer.produce(pipeline.source, message("aborted")["value"], partition=0)
    producer.flush(120)
    producer.abort_transaction(120)
    while offset_ranges(kafka, pipeline.source)[0].stop < end:
        time.sleep(0.05)
