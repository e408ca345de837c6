"""Processed offsets are committed to a group that any lag tool can read."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer
from kafka import KafkaAdminClient
from structlog.testing import CapturingLogger

from dev.kafka.ports import HOST
from dev.kafka.topics import committed_offsets
from dev.pipeline.pipeline import GROUP_TOOL, message
from dev.pipeline.records import produce
from tidemill.check import check
from tidemill.inference.route import single_routes
from tidemill.kafka.client_options import librdkafka_options
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.settings import KafkaSettings, PoolSettings, Settings, StreamSettings
from tidemill.streaming import job, offsets_reporter, preflight, startup
from tidemill.streaming.delivery import choose
from tidemill.streaming.listener import ProgressListener
from tidemill.streaming.offsets_reporter import KafkaOffsetsReporter
from tidemill.streaming.progress import Progress
from tidemill.streaming.sink import QUERY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

    from dev.kafka.broker import Broker
    from dev.kafka.servers import KafkaServers
    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec

PATIENCE = 240


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    """The settings of the broker."""
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers)


@pytest.fixture
def admin(broker: Broker) -> Iterator[KafkaAdminClient]:
    """A client that changes topics."""
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    yield client
    client.close()


def described(broker: KafkaServers, group: str, *options: str) -> list[dict[str, str]]:
    """Return the output of Kafka's own tool for a group, a dictionary per row."""
    servers = ("--bootstrap-server", broker.bootstrap_servers)
    done = broker.tool(GROUP_TOOL, *servers, "--describe", "--group", group, *options)
    head, *rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    return [dict(zip(head, row, strict=False)) for row in rows]


def committed(broker: KafkaServers, group: str) -> dict[tuple[str, int], tuple[int, int]]:
    """Return the group's offset and lag in each partition, according to Kafka's own tool."""
    return {
        (row["TOPIC"], int(row["PARTITION"])): (int(row["CURRENT-OFFSET"]), int(row["LAG"]))
        for row in described(broker, group)
    }


@contextmanager
def joined(kafka: KafkaSettings, group: str, topic: str, protocol: str) -> Iterator[None]:
    """Run a consumer that is a member of a group."""
    options = {"group.id": group, "client.id": "dashboard", "group.protocol": protocol}
    with closing(Consumer({**librdkafka_options(kafka), **options})) as consumer:
        consumer.subscribe([topic])
        wait_for(lambda: consumer.poll(0.2) is None and consumer.assignment() != [])
        yield


class TestGroupCommitter:
    """Offsets are committed without joining the group."""

    def test_deleted_topic(
        self, broker: Broker, kafka: KafkaSettings, make_topic: Callable[..., str]
    ) -> None:
        """A missing topic neither prevents nor delays the commits of the others."""
        topic = make_topic(partitions=2)
        produce(broker.bootstrap_servers, topic, *({"value": b"x", "partition": 0},) * 5)
        committer = GroupCommitter(kafka, topic)
        began = time.monotonic()
        committer({(topic, 0): 3, ("gone", 0): 7, (topic, 1): 0, (topic, 9): 1})
        assert time.monotonic() - began < 55  # a consumer would retry for 60 s
        committer.close()
        assert committed(broker, topic) == {(topic, 0): (3, 2), (topic, 1): (0, 0)}

    def test_no_members(
        self, broker: Broker, kafka: KafkaSettings, make_topic: Callable[..., str]
    ) -> None:
        """The group stays empty between commits, so nothing can rebalance."""
        topic = make_topic()
        committer = GroupCommitter(kafka, topic)
        for _ in range(2):
            committer({(topic, 0): 0})
            (row,) = described(broker, topic, "--state")
            assert list(row.values())[-2:] == ["Empty", "0"]  # state, number of members
        committer.close()


class TestOutage:
    """The broker is killed and restarted."""

    def test_committed_afterwards(
        self,
        broker: Broker,
        kafka: KafkaSettings,
        make_topic: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """There is one warning despite many retries, and the latest offsets are committed."""
        log = CapturingLogger()
        monkeypatch.setattr(offsets_reporter, "log", log)
        monkeypatch.setattr(offsets_reporter, "MIN_RETRY_DELAY_S", 0.1)
        monkeypatch.setattr(offsets_reporter, "MAX_RETRY_DELAY_S", 0.2)
        topic = make_topic()
        produce(broker.bootstrap_servers, topic, *({"value": b"x"},) * 9)
        committer, tries = GroupCommitter(kafka, topic), []

        def commit(newest: dict[tuple[str, int], int]) -> None:
            tries.append(dict(newest))
            committer(newest)

        reporter = KafkaOffsetsReporter(commit, committer.close).start()
        reporter.record(Progress(0, offsets={(topic, 0): 1}))
        wait_for(lambda: len(tries) >= 1)
        broker.kill()
        try:
            reporter.record(Progress(1, offsets={(topic, 0): 2}))
            reporter.record(Progress(2, offsets={(topic, 0): 9}))
            wait_for(lambda: len(tries) >= 3)
        finally:
            broker.start()
        wait_for(lambda: len(log.calls) == 2)
        reporter.close()
        assert [call.method_name for call in log.calls] == ["warning", "info"]
        assert committed(broker, topic) == {(topic, 0): (9, 0)}


class TestMembers:
    """Another consumer joins the group, even for another topic, and leaves it."""

    @pytest.mark.parametrize("protocol", ["classic", "consumer"])
    def test_committed_afterwards(
        self,
        pipeline: Pipeline,
        kafka: KafkaSettings,
        make_topic: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
        protocol: str,
    ) -> None:
        """One line names it, also in `check`; another reports that commits work again."""
        log = CapturingLogger()
        monkeypatch.setattr(offsets_reporter, "log", log)
        monkeypatch.setattr(offsets_reporter, "MIN_RETRY_DELAY_S", 0.1)
        monkeypatch.setattr(offsets_reporter, "MAX_RETRY_DELAY_S", 0.2)
        stream = StreamSettings(
            input_topics=(pipeline.source,),
            output_topic=pipeline.output,
            dead_letter_topic=pipeline.dead,
            group_id=pipeline.source,
            checkpoint_location=str(pipeline.folder / "checkpoint"),
        )
        settings = Settings(kafka=kafka, stream=stream, models=pipeline.folder / "none.yaml")
        committer, tries = GroupCommitter(kafka, pipeline.source), []

        def commit(newest: dict[tuple[str, int], int]) -> None:
            tries.append(dict(newest))
            committer(newest)

        reporter = KafkaOffsetsReporter(commit, committer.close).start()
        reporter.record(Progress(0, offsets={(pipeline.source, 0): 0}))
        wait_for(lambda: committed(pipeline.broker, pipeline.source) != {})
        before = list(check(settings))
        with joined(kafka, pipeline.source, make_topic("other"), protocol):
            reporter.record(Progress(1, offsets={(pipeline.source, 0): 1}))
            wait_for(lambda: len(tries) >= 4)
            during = list(check(settings))
        wait_for(lambda: len(log.calls) == 2)
        reporter.close()
        assert committed(pipeline.broker, pipeline.source)[pipeline.source, 0][0] == 1

        named = f"group {pipeline.source} has members (dashboard at {HOST})"
        assert [call.method_name for call in log.calls] == ["warning", "info"]
        assert named in log.calls[0].kwargs["error"]
        assert [result.message for result in during[:-1]] == [result.message for result in before]
        assert during[-1].message.startswith(f"note: the consumer {named}")
        assert during[-1].error is None


class TestRunningJob:
    """A job runs in this process."""

    def test_topics_and_partitions(
        self,
        pipeline: Pipeline,
        spark: SparkSession,
        model: Callable[..., ModelSpec],
        make_topic: Callable[..., str],
        kafka: KafkaSettings,
        admin: KafkaAdminClient,
    ) -> None:
        """All partitions of all topics are committed, including those that are added meanwhile."""
        other = make_topic("in", partitions=1)
        servers = pipeline.broker.bootstrap_servers
        stream = StreamSettings(
            input_topics=(pipeline.source, other),
            output_topic=pipeline.output,
            dead_letter_topic=pipeline.dead,
            group_id=pipeline.source,
            checkpoint_location=str(pipeline.folder / "checkpoint"),
        )
        for number in range(3):
            produce(
                servers, pipeline.source, *({**message(n), "partition": number} for n in range(4))
            )
        produce(servers, other, *map(message, range(5)))
        committer = GroupCommitter(kafka, stream.group_id)
        reporter = KafkaOffsetsReporter(committer, committer.close).start()
        listener = ProgressListener(QUERY_NAME, reporter.record)
        spark.streams.addListener(listener)
        delivery = choose(kafka, stream)
        run = startup.take_over(delivery, stream.checkpoint_location)
        limits, _ = preflight.check(kafka, stream)
        query = job.start(
            spark,
            kafka,
            stream,
            single_routes([model("Upper")]),
            run,
            pool=PoolSettings(),
            limits=limits,
        )
        try:
            ends = {(pipeline.source, n): (4, 0) for n in range(3)} | {(other, 0): (5, 0)}
            wait_for(lambda: committed_by(stream, servers) == firsts(ends))
            assert committed(pipeline.broker, stream.group_id) == ends

            admin.create_partitions({other: 3})
            wait_for(lambda: len(admin.describe_topics([other])[0]["partitions"]) == 3)
            produce(servers, other, *({**message(n), "partition": 2} for n in range(7)))
            ends |= {(other, 1): (0, 0), (other, 2): (7, 0)}
            wait_for(lambda: committed_by(stream, servers) == firsts(ends))
        finally:
            query.stop()
            spark.streams.removeListener(listener)
            reporter.close()
        assert committed(pipeline.broker, stream.group_id) == ends
        assert len(pipeline.results()) == 4 * 3 + 5 + 7


def wait_for(done: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def committed_by(stream: StreamSettings, servers: str) -> dict[tuple[str, int], int]:
    """Return the offsets of a stream's group, faster than the tool does."""
    return {
        (topic, partition): offset
        for topic in stream.input_topics
        for partition, offset in committed_offsets(servers, stream.group_id, topic).items()
    }


def firsts(ends: dict[tuple[str, int], tuple[int, int]]) -> dict[tuple[str, int], int]:
    """Return the offsets without the lags."""
    return {at: offset for at, (offset, _) in ends.items()}
