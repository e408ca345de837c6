"""Exactly-once delivery on a real broker: resuming, ownership and fencing."""

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
from faults.job_processes import parent
from tidemill.errors import (
    DeliveryModeChanged,
    GroupHasMembers,
    GroupOffsetsChanged,
    SpeculationEnabled,
    Superseded,
    TopicRecreated,
    TransactionFailed,
)
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.streaming.exactly_once.delivery import ExactlyOnce
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.owner import PartitionOwner
from tidemill.streaming.exactly_once.position import CommittedOffset
from tidemill.streaming.exactly_once.producer import KafkaTransactionalWriter
from tidemill.streaming.exactly_once.watchdog import GroupWatchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec
    from tidemill.spark.rows import Row
    from tidemill.streaming.exactly_once.position import TopicPartition
    from tidemill.streaming.exactly_once.worker import TransactionalWorker

ONCE: dict[str, Any] = {"delivery": "exactly-once"}


@pytest.fixture
def kafka(pipeline: Pipeline) -> KafkaSettings:
    """The settings of the broker."""
    return KafkaSettings(bootstrap_servers=pipeline.broker.bootstrap_servers)


@pytest.fixture
def stream(pipeline: Pipeline) -> StreamSettings:
    """The settings of a job without a checkpoint."""
    return StreamSettings(
        input_topics=(pipeline.source,),
        output_topic=pipeline.output,
        dead_letter_topic=pipeline.dead,
        group_id=pipeline.source,
        checkpoint_location=str(pipeline.folder / "checkpoint"),
        delivery="exactly-once",
    )


def take_over(kafka: KafkaSettings, stream: StreamSettings) -> TransactionalWorker:
    """Begin a run; return what its workers do."""
    return ExactlyOnce(kafka, stream).take_over().worker


def row(topic: str, value: bytes) -> dict[str, Any]:
    """Return an outcome in the transform's format."""
    return {"topic": topic, "key": b"k", "value": value, "headers": []}


def uuids(pipeline: Pipeline) -> list[int]:
    """Return the numbers of the messages that have results."""
    return sorted(int(json.loads(record.value or b"")["uuid"]) for record in pipeline.results())


def printed(program: JobProcess) -> str:
    """Return a command's output without its line breaks."""
    return " ".join(program.output.split())


class TestDelivery:
    """The query with exactly-once delivery."""

    def test_each_once_and_the_group_knows(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """Results, dead letters and offsets are committed together, in order per key."""
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
        """Models run in long-lived processes that have no threads of Kafka's client."""
        log = pipeline.folder / "loads"
        pipeline.produce(*map(message, range(30)))
        specs = [model("RecordingModel", options={"log": str(log)})]
        progress = pipeline.answer_all(spark, specs, max_offsets_per_trigger=5, **ONCE)
        assert progress["batchId"] >= 5
        answers = [json.loads(record.value or b"")["answer"] for record in pipeline.results()]
        assert len(answers) == 30
        assert {answer["threads"] for answer in answers} == {1}
        (server,) = log.read_text().split()
        assert {parent(answer["pid"]) for answer in answers} == {int(server)}

    def test_lost_checkpoint(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """A new checkpoint resumes at the group's offsets: nothing is repeated or skipped."""
        pipeline.produce(*map(message, range(20)))
        pipeline.answer_all(spark, [model("Upper")], **ONCE)
        pipeline.produce(*map(message, range(20, 30)))
        elsewhere = str(pipeline.folder / "elsewhere")
        pipeline.answer_all(spark, [model("Upper")], checkpoint_location=elsewhere, **ONCE)
        assert uuids(pipeline) == [*range(30)]

    def test_old_checkpoint(
        self, spark: SparkSession, pipeline: Pipeline, model: Callable[..., ModelSpec]
    ) -> None:
        """A checkpoint that lacks micro-batches repeats them, but nothing is written twice."""
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
        """Speculative execution is refused."""
        conf = spark.sparkContext._conf  # noqa: SLF001 - there is no other way to a running one's
        conf.set("spark.speculation", "true")
        try:
            with pytest.raises(SpeculationEnabled):
                pipeline.answer_all(spark, [model("Upper")], **ONCE)
        finally:
            conf.set("spark.speculation", "false")


class TestSwitch:
    """The delivery mode may change between two runs, with a new checkpoint."""

    @pytest.mark.parametrize(
        ("before", "after"), [("at-least-once", "exactly-once"), ("exactly-once", "at-least-once")]
    )
    def test_both_directions(
        self,
        before: str,
        after: str,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        kafka: KafkaSettings,
    ) -> None:
        """The old checkpoint is refused; a new one resumes at the group's offsets."""
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
    """Each partition has one owner: the latest."""

    def test_old_writer(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """Readers never see what a fenced writer sent, not even in its open transaction."""
        worker = take_over(kafka, stream)
        partition = (pipeline.source, 0)
        with Group(kafka, pipeline.source) as group:
            old = KafkaTransactionalWriter(kafka, group, partition, worker.run)
            old.commit([row(pipeline.output, b"seen")], 1)
            with closing(KafkaTransactionalWriter(kafka, group, partition, worker.run)) as new:
                assert new.committed is not None
                assert new.committed.offset == 1
                with pytest.raises(TransactionFailed, match=f"{pipeline.source}/0"):
                    old.commit([row(pipeline.output, b"not seen")], 2)
                new.commit([row(pipeline.output, b"seen too")], 2)
            old.close()
        assert [record.value for record in pipeline.results()] == [b"seen", b"seen too"]

    def test_refused_record(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """A refused record aborts its whole transaction: nothing is visible, the offset stays."""
        worker = take_over(kafka, stream)
        partition = (pipeline.source, 0)
        rows = [row(pipeline.output, b"good"), row(pipeline.output, os.urandom(2_000_000))]
        with Group(kafka, pipeline.source) as group:
            writer = KafkaTransactionalWriter(kafka, group, partition, worker.run)
            with pytest.raises(TransactionFailed):
                writer.commit(rows, 2)
            writer.close()
            assert group.stable_committed([partition])[partition].offset == 0
        assert pipeline.results() == []

    def test_outcomes_of_a_message(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """A message has any number of outcomes; one transaction has them all, and the offset."""
        worker = take_over(kafka, stream)
        partition = (pipeline.source, 0)
        rows = [row(pipeline.output, b"%d" % number) for number in range(5)]
        outcomes = [rows[:3], [], rows[3:], []]
        with Group(kafka, pipeline.source) as one, Group(kafka, pipeline.source) as two:
            owners = [PartitionOwner(partial(worker._open_writer, group)) for group in (one, two)]  # noqa: SLF001 - as a worker does
            with closing(owners[0]) as owner, closing(owners[1]) as other:
                assert owner.first_uncommitted(partition, [0, 1, 2, 3]) == 0
                other.deliver(partition, [0], 0, outcomes[:1])  # fences the owner
                assert owner.deliver(partition, [0, 1, 2, 3], 0, outcomes) == rows[3:]
                assert owner.deliver(partition, [4], 0, [[]]) == []
            assert one.stable_committed([partition])[partition].offset == 5
        assert [record.value for record in pipeline.results()] == [b"0", b"1", b"2", b"3", b"4"]

    def test_second_start(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """A second start takes over; the first notices at its next poll, its workers at once."""
        first = take_over(kafka, stream)
        with closing(GroupWatchdog(kafka, first)) as watchdog:
            watchdog.poll()
            watchdog.check()
            second = take_over(kafka, stream)
            assert second.run > first.run
            watchdog.poll()
            with pytest.raises(Superseded):
                watchdog.check()
        with Group(kafka, pipeline.source) as group, pytest.raises(Superseded):
            first._open_writer(group, (pipeline.source, 0))  # noqa: SLF001 - what a worker does at once

    def test_member(self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings) -> None:
        """If the group has a member, the start is refused, and the error names the member."""
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
                take_over(kafka, stream)
        finally:
            consumer.close()


class TestNewTopic:
    """A topic that a pattern matches while the job runs is watched like the others."""

    def test_recreated(
        self,
        pipeline: Pipeline,
        kafka: KafkaSettings,
        stream: StreamSettings,
        make_topic: Callable[..., str],
    ) -> None:
        """An open writer writes nothing more, because the recreated topic has another id."""
        worker = take_over(kafka, stream)
        topic = make_topic("new")
        with (
            closing(GroupWatchdog(kafka, worker)) as watchdog,
            Group(kafka, pipeline.source) as group,
        ):
            writer, next_offset = worker._open_writer(group, (topic, 0))  # noqa: SLF001 - as a worker does
            assert next_offset == 0
            writer.commit((), 5)
            watchdog.poll()
            watchdog.check()
            delete_topic(kafka.bootstrap_servers, topic)
            create_topic(kafka.bootstrap_servers, topic)
            while group.stable_committed([(topic, 0)]):
                time.sleep(0.05)  # Kafka deletes the old topic's offsets a little later
            with pytest.raises(TopicRecreated, match=topic):
                writer.commit((), 10)
            writer.close()
            assert group.stable_committed([(topic, 0)]) == {}


class TestChangedOffsets:
    """Another program sets the group's offset while a worker owns the partition."""

    @pytest.mark.parametrize("offset", [0, 1, 7])
    def test_not_overwritten(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings, offset: int
    ) -> None:
        """The worker stops before its next commit: the offset stays, and nothing is written."""
        worker = take_over(kafka, stream)
        partition = (pipeline.source, 0)
        row: Row = {"topic": pipeline.output, "key": None, "value": b"result", "headers": []}
        with Group(kafka, pipeline.source) as group:
            owner = PartitionOwner(partial(worker._open_writer, group))  # noqa: SLF001 - as a worker does
            with closing(owner), closing(GroupCommitter(kafka, pipeline.source)) as other_program:
                assert owner.deliver(partition, [0], 0, [[row]]) == [row]
                assert owner.first_uncommitted(partition, [1]) == 0
                other_program({partition: offset})  # while the model predicts
                with pytest.raises(GroupOffsetsChanged):
                    owner.deliver(partition, [1], 0, [[row]])
            assert group.stable_committed([partition]) == {partition: CommittedOffset(offset)}
        assert len(pipeline.results()) == 1


class TestTwoWorkers:
    """The tasks of a partition alternate between two workers."""

    def test_fenced(self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings) -> None:
        """A worker closes a fenced writer; each message is written once."""
        worker = take_over(kafka, stream)
        partition = (pipeline.source, 0)
        opened: list[object] = []

        def open_writer(
            group: Group, partition: TopicPartition
        ) -> tuple[KafkaTransactionalWriter, int]:
            opened.append(group)
            return worker._open_writer(group, partition)  # noqa: SLF001 - as a worker does

        row: Row = {"topic": pipeline.output, "key": None, "value": b"result", "headers": []}
        with Group(kafka, pipeline.source) as first, Group(kafka, pipeline.source) as second:
            one, other = (PartitionOwner(partial(open_writer, group)) for group in (first, second))
            with closing(one), closing(other):
                for offset, owner in enumerate((one, other, one, one)):
                    assert owner.deliver(partition, [offset], 0, [[row]]) == [row]
        assert opened == [first, second, first], "the last one is kept"
        assert len(pipeline.results()) == 4


class TestInspectARunningJob:
    """Inspecting changes nothing, and tolerates offsets that move meanwhile."""

    def test_at_the_end_of_the_topic(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """A job that processes each message at once never seems to be past the end."""
        worker = take_over(kafka, stream)
        over = threading.Event()
        partition = (pipeline.source, 0)

        def process() -> None:
            with Group(kafka, pipeline.source) as group:
                writer = KafkaTransactionalWriter(kafka, group, partition, worker.run)
                next_offset = 0
                while not over.is_set():
                    pipeline.produce({**message(next_offset), "partition": 0})
                    next_offset += 1
                    writer.commit((), next_offset)
                writer.close()

        job = threading.Thread(target=process)
        job.start()
        try:
            for _ in range(20):
                ExactlyOnce(kafka, stream).inspect()
        finally:
            over.set()
            job.join()


class TestCheck:
    """`tidemill check` reports the same as a start, and changes nothing."""

    def test_start(self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings) -> None:
        """It reports the group's offsets, if there are any, and leaves them to a running job."""
        environment = pipeline.environment("Upper", STREAM__DELIVERY="exactly-once")
        with pipeline.program(environment, "check") as program:
            assert program.wait() == 0, program.output
            start = "no checkpoint yet, starts at starting_offsets, earliest"
            assert f"exactly-once: {start}" in printed(program)
        worker = take_over(kafka, stream)
        with pipeline.program(environment, "check") as program:
            assert program.wait() == 0, program.output
            start = "no checkpoint yet, starts at the group's offsets"
            assert f"exactly-once: {start}" in printed(program)
        with closing(GroupWatchdog(kafka, worker)) as watchdog:
            watchdog.poll()
            watchdog.check()

    def test_refusal(self, pipeline: Pipeline, kafka: KafkaSettings) -> None:
        """It refuses with the same message, and exit code 2."""
        commit = GroupCommitter(kafka, pipeline.source)
        commit({(pipeline.source, 0): 10})
        commit.close()
        with pipeline.program(
            pipeline.environment("Upper", STREAM__DELIVERY="exactly-once"), "check"
        ) as program:
            assert program.wait() == 2, program.output
            assert f"the topic {pipeline.source} was deleted" in printed(program)


class TestIdleOffsets:
    """Kafka deletes a group's offset some time after its commit."""

    def test_recommitted(
        self, pipeline: Pipeline, kafka: KafkaSettings, stream: StreamSettings
    ) -> None:
        """A running job commits them again, which fences the owner and moves nothing."""
        worker = take_over(kafka, stream)
        now = [0.0]
        partition = (pipeline.source, 0)
        with (
            Group(kafka, pipeline.source) as group,
            closing(
                GroupWatchdog(kafka, worker, refresh_interval=60, clock=lambda: now[0])
            ) as watchdog,
        ):
            writer = KafkaTransactionalWriter(kafka, group, partition, worker.run)
            writer.commit([row(pipeline.output, b"seen")], 1)
            group.stable_committed([partition])  # the broker may still be ending the transaction
            watchdog.poll()
            recommitted: list[CommittedOffset] = []
            for now[0] in (59.0, 61.0):
                watchdog.poll()
                try:
                    writer.commit((), 1)
                except TransactionFailed:
                    recommitted.append(group.stable_committed([partition])[partition])
            watchdog.check()
            writer.close()
        assert [committed.offset for committed in recommitted] == [1]
