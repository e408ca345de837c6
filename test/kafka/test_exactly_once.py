"""Exactly once on a real broker: who may go on, from where, and what it takes from whom."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer

from dev.kafka.topics import create_topic, delete_topic
from dev.pipeline.pipeline import message
from tidemill.errors import (
    DeliveryModeChanged,
    GroupHasMembers,
    GroupOffsetsChanged,
    SpeculationEnabled,
    Superseded,
    TopicRecreated,
    TransactionFailed,
)
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.streaming import startup
from tidemill.streaming.exactly_once.delivery import KafkaLedger
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.owner import Owner
from tidemill.streaming.exactly_once.position import Position
from tidemill.streaming.offsets_reporter import GroupCommitter
from tidemill.streaming.watchdog import Guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec
    from tidemill.streaming.exactly_once.position import Partition

ONCE: dict[str, Any] = {"delivery": "exactly-once"}


@pytest.fixture
def kafka(pipeline: Pipeline) -> KafkaSettings:
    """How to reach the broker."""
    return KafkaSettings(bootstrap_servers=pipeline.broker.bootstrap_servers)


@pytest.fixture
def stream(pipeline: Pipeline) -> StreamSettings:
    """A job that has no checkpoint yet."""
    return StreamSettings(
        input_topics=(pipeline.source,),
        output_topic=pipeline.output,
        dead_letter_topic=pipeline.dead,
        group_id=pipeline.source,
        checkpoint_location=str(pipeline.folder / "checkpoint"),
        delivery="exactly-once",
    )


def row(topic: str, value: bytes) -> dict[str, Any]:
    """Return an outcome as the transform makes it."""
    return {"topic": topic, "key": b"k", "value": value, "headers": []}


def uuids(pipeline: Pipeline) -> list[int]:
    """Return which messages have results."""
    return sorted(int(json.loads(record.value or b"")["uuid"]) for record in pipeline.results())


def said(program: JobProcess) -> str:
    """Return what a command has printed, whatever the width of the screen."""
    return " ".join(program.output.split())


class TestDelivery:
    """The query, in the mode."""

    def test_each_once_and_the_group_knows(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """Results, dead letters and the group's offsets are there together, in the keys' order."""
        pipeline.produce(
            *({"key": b"key %d" % (i % 5), **message(i)} for i in range(300)), {"value": b"junk"}
        )
        specs = [model("Upper")]
        progress = pipeline.answer_all(spark, specs, max_offsets_per_trigger=100, **ONCE)
        assert progress["batchId"] >= 3
        assert uuids(pipeline) == [*range(300)]
        assert [record.value for record in pipeline.dead_letters()] == [b"junk"]
        assert pipeline.committed() == (301, 0)
        seen: dict[bytes | None, list[int]] = {}
        for record in pipeline.results():
            seen.setdefault(record.key, []).append(int(json.loads(record.value or b"")["uuid"]))
        assert all(numbers == sorted(numbers) for numbers in seen.values())

    def test_threads(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """Models are in processes that Kafka's client has no thread in, and stay there."""
        log = pipeline.folder / "loads"
        pipeline.produce(*map(message, range(30)))
        specs = [model("RecordingModel", options={"log": str(log)})]
        progress = pipeline.answer_all(spark, specs, max_offsets_per_trigger=5, **ONCE)
        assert progress["batchId"] >= 5
        answers = [json.loads(record.value or b"")["answer"] for record in pipeline.results()]
        assert len(answers) == 30
        assert {answer["threads"] for answer in answers} == {1}
        loads = log.read_text().split()
        assert {str(answer["pid"]) for answer in answers} == set(loads)
        assert len(loads) == len(set(loads)), "a process loaded the model twice"

    def test_a_lost_checkpoint(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """A new one goes on at the group's offsets: nothing is answered again, nothing left out."""
        pipeline.produce(*map(message, range(20)))
        pipeline.answer_all(spark, [model("Upper")], **ONCE)
        pipeline.produce(*map(message, range(20, 30)))
        elsewhere = str(pipeline.folder / "elsewhere")
        pipeline.answer_all(spark, [model("Upper")], checkpoint_location=elsewhere, **ONCE)
        assert uuids(pipeline) == [*range(30)]

    def test_an_old_checkpoint(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """One that has forgotten micro-batches runs them again, and nothing is written twice."""
        pipeline.produce(*map(message, range(20)))
        pipeline.answer_all(spark, [model("Upper")], **ONCE)
        checkpoint = pipeline.folder / "checkpoint"
        for log in ("commits", "offsets"):
            for entry in (checkpoint / log).iterdir():
                entry.unlink()
        pipeline.produce(*map(message, range(20, 25)))
        pipeline.answer_all(spark, [model("Upper")], **ONCE)
        assert uuids(pipeline) == [*range(25)]
        assert pipeline.committed() == (25, 0)

    def test_speculation(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """Two attempts at a time are refused."""
        conf = spark.sparkContext._conf  # noqa: SLF001 - there is no other way to a running one's
        conf.set("spark.speculation", "true")
        try:
            with pytest.raises(SpeculationEnabled):
                pipeline.answer_all(spark, [model("Upper")], **ONCE)
        finally:
            conf.set("spark.speculation", "false")


class TestSwitch:
    """From one delivery to the other, in order, with a new checkpoint."""

    @pytest.mark.parametrize(
        ("before", "after"), [("at-least-once", "exactly-once"), ("exactly-once", "at-least-once")]
    )
    def test_there_and_back(
        self,
        before: str,
        after: str,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        kafka: KafkaSettings,
    ) -> None:
        """The old checkpoint is refused by name; a new one goes on at the group's offsets."""
        pipeline.produce(*map(message, range(20)))
        progress = pipeline.answer_all(spark, [model("Upper")], delivery=before)
        if before == "at-least-once":
            commit = GroupCommitter(kafka, pipeline.source)
            (source,) = progress["sources"]
            ends = json.loads(source["endOffset"])[pipeline.source]
            commit({(pipeline.source, int(partition)): end for partition, end in ends.items()})
            commit.close()
        pipeline.produce(*map(message, range(20, 30)))
        with pytest.raises(DeliveryModeChanged, match="checkpoint_location"):
            pipeline.answer_all(spark, [model("Upper")], delivery=after)
        elsewhere = str(pipeline.folder / "elsewhere")
        pipeline.answer_all(spark, [model("Upper")], delivery=after, checkpoint_location=elsewhere)
        assert uuids(pipeline) == [*range(30)]


class TestOwnership:
    """Of each partition there is one owner: the last."""

    def test_an_old_ledger_is_fenced(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """What it has sent is never seen; not even its open transaction."""
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        at = (pipeline.source, 0)
        with Group(kafka, pipeline.source) as group:
            old = KafkaLedger(kafka, group, at, deliver.run)
            old.commit([row(pipeline.output, b"seen")], 1)
            with closing(KafkaLedger(kafka, group, at, deliver.run)) as new:
                assert new.position is not None
                assert new.position.offset == 1
                with pytest.raises(TransactionFailed, match=f"{pipeline.source}/0"):
                    old.commit([row(pipeline.output, b"not seen")], 2)
                new.commit([row(pipeline.output, b"seen too")], 2)
            old.close()
        assert [record.value for record in pipeline.results()] == [b"seen", b"seen too"]

    def test_a_record_that_is_refused(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """Takes its whole transaction along: nothing of it is seen, the offset stays."""
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        at = (pipeline.source, 0)
        rows = [row(pipeline.output, b"good"), row(pipeline.output, os.urandom(2_000_000))]
        with Group(kafka, pipeline.source) as group:
            ledger = KafkaLedger(kafka, group, at, deliver.run)
            with pytest.raises(TransactionFailed):
                ledger.commit(rows, 2)
            ledger.close()
            assert group.positions([at])[at].offset == 0
        assert pipeline.results() == []

    def test_a_second_start(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """Takes over; the first is told at its next look, and its workers at their next batch."""
        first = startup.begin(kafka, stream).deliver
        assert first is not None
        with closing(Guard(kafka, first)) as guard:
            guard.look()
            guard.watch()
            second = startup.begin(kafka, stream).deliver
            assert second is not None
            assert second.run > first.run
            guard.look()
            with pytest.raises(Superseded):
                guard.watch()
        with Group(kafka, pipeline.source) as group, pytest.raises(Superseded):
            first._take(group, (pipeline.source, 0))  # noqa: SLF001 - what a worker does at once

    def test_a_member(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """A consumer that is in the group is named, and the start refused."""
        consumer = Consumer(
            {
                "bootstrap.servers": pipeline.broker.bootstrap_servers,
                "group.id": pipeline.source,
                "client.id": "somebody",
            }
        )
        consumer.subscribe([pipeline.source])
        try:
            while not consumer.assignment():
                consumer.poll(0.1)
            with pytest.raises(GroupHasMembers, match="somebody"):
                startup.begin(kafka, stream)
        finally:
            consumer.close()


class TestATopicThatCame:
    """A topic that a pattern picks up while the job runs is watched like the others."""

    def test_made_anew(
        self,
        pipeline: Pipeline,
        kafka: KafkaSettings,
        stream: StreamSettings,
        make_topic: Callable[..., str],
    ) -> None:
        """A ledger that was kept writes nothing more: the new topic has another id."""
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        came = make_topic("came")
        with closing(Guard(kafka, deliver)) as guard, Group(kafka, pipeline.source) as group:
            ledger, due = deliver._take(group, (came, 0))  # noqa: SLF001 - as a worker does
            assert due == 0
            ledger.commit((), 5)
            guard.look()
            guard.watch()
            delete_topic(kafka.bootstrap_servers, came)
            create_topic(kafka.bootstrap_servers, came)
            while group.positions([(came, 0)]):
                time.sleep(0.05)  # Kafka forgets the old topic's offsets a little later
            with pytest.raises(TopicRecreated, match=came):
                ledger.commit((), 10)
            ledger.close()
            assert group.positions([(came, 0)]) == {}


class TestOffsetsOfOthers:
    """Somebody sets the group's offset while a worker holds the partition."""

    @pytest.mark.parametrize("offset", [0, 1, 7])
    def test_not_overwritten(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings, offset: int
    ) -> None:
        """Before the next commit the worker stops; the offset stays, and nothing is written."""
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        at = (pipeline.source, 0)
        row = {"topic": pipeline.output, "key": None, "value": b"said", "headers": []}
        with Group(kafka, pipeline.source) as group:
            owner = Owner(partial(deliver._take, group))  # noqa: SLF001 - as a worker does
            with closing(owner), closing(GroupCommitter(kafka, pipeline.source)) as somebody:
                assert owner.deliver(at, [0], lambda _: [row]) == [row]

                def answer(_: int) -> list[dict[str, Any]]:
                    somebody({at: offset})  # while the model is at work
                    return [row]

                with pytest.raises(GroupOffsetsChanged):
                    owner.deliver(at, [1], answer)
            assert group.positions([at]) == {at: Position(offset)}
        assert len(pipeline.results()) == 1


class TestTwoWorkers:
    """A partition's tasks come to one worker, then to another."""

    def test_fenced(self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings) -> None:
        """A kept ledger that another has fenced is given up; each message is written once."""
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        at = (pipeline.source, 0)
        taken: list[object] = []

        def take(group: Group, at: Partition) -> tuple[KafkaLedger, int]:
            taken.append(group)
            return deliver._take(group, at)  # noqa: SLF001 - as a worker does

        row = {"topic": pipeline.output, "key": None, "value": b"said", "headers": []}
        with Group(kafka, pipeline.source) as first, Group(kafka, pipeline.source) as second:
            one, other = (Owner(partial(take, group)) for group in (first, second))
            with closing(one), closing(other):
                for offset, owner in enumerate((one, other, one, one)):
                    assert owner.deliver(at, [offset], lambda _: [row]) == [row]
        assert taken == [first, second, first], "the last one is kept"
        assert len(pipeline.results()) == 4


class TestBesideARunningJob:
    """A look changes nothing, and is not confused by what moves meanwhile."""

    def test_at_the_end_of_its_topic(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """A job that answers each message at once is never seen beyond the end."""
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        over = threading.Event()
        at = (pipeline.source, 0)

        def answer() -> None:
            with Group(kafka, pipeline.source) as group:
                ledger = KafkaLedger(kafka, group, at, deliver.run)
                following = 0
                while not over.is_set():
                    pipeline.produce({**message(following), "partition": 0})
                    following += 1
                    ledger.commit((), following)
                ledger.close()

        job = threading.Thread(target=answer)
        job.start()
        try:
            with Group(kafka, pipeline.source) as group:
                for _ in range(20):
                    startup.examine(kafka, stream, group)
        finally:
            over.set()
            job.join()


class TestCheck:
    """`tidemill check` tells the same before anything runs, and changes nothing."""

    def test_where_it_would_start(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """At the group's offsets, once there are any; a job that runs meanwhile keeps them."""
        environment = pipeline.environment("Upper", STREAM__DELIVERY="exactly-once")
        with pipeline.program(environment, "check") as program:
            assert program.wait() == 0, program.output
            assert "exactly-once: starts at starting_offsets, earliest" in said(program)
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        with pipeline.program(environment, "check") as program:
            assert program.wait() == 0, program.output
            assert "exactly-once: starts at the group's offsets" in said(program)
        with closing(Guard(kafka, deliver)) as guard:
            guard.look()
            guard.watch()

    def test_what_would_be_refused(self, pipeline: Pipeline, kafka: KafkaSettings) -> None:
        """With the same words, and exit code 2."""
        commit = GroupCommitter(kafka, pipeline.source)
        commit({(pipeline.source, 0): 10})
        commit.close()
        with pipeline.program(
            pipeline.environment("Upper", STREAM__DELIVERY="exactly-once"), "check"
        ) as program:
            assert program.wait() == 2, program.output
            assert f"the topic {pipeline.source} was deleted" in said(program)


class TestOffsetsThatDoNotMove:
    """Kafka forgets a group's offset some time after it was committed."""

    def test_they_are_committed_again(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """As long as the job lives; the owner of before finds itself fenced, nothing moves."""
        deliver = startup.begin(kafka, stream).deliver
        assert deliver is not None
        now = [0.0]
        at = (pipeline.source, 0)
        with (
            Group(kafka, pipeline.source) as group,
            closing(Guard(kafka, deliver, repeat_after=60, clock=lambda: now[0])) as guard,
        ):
            ledger = KafkaLedger(kafka, group, at, deliver.run)
            ledger.commit([row(pipeline.output, b"seen")], 1)
            guard.look()
            forgotten: list[Position] = []
            for now[0] in (59.0, 61.0):
                guard.look()
                try:
                    ledger.commit((), 1)
                except TransactionFailed:
                    forgotten.append(group.positions([at])[at])
            guard.watch()
            ledger.close()
        assert [position.offset for position in forgotten] == [1]
