"""`tidemill lag` agrees with Kafka's own tool, and with the messages sent and answered."""

from __future__ import annotations

import json
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient, TopicPartition

from dev.kafka.topics import committed_offsets
from dev.pipeline.pipeline import message
from dev.pipeline.records import produce
from tidemill.errors import NoInputTopic
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.kafka.lag_reader import LagReader
from tidemill.settings import KafkaSettings, StreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.kafka.broker import Broker
    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline
    from tidemill.kafka.lag import PartitionLag

HOUR = 3600


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    """Return the settings for the broker."""
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers)


@pytest.fixture
def admin(broker: Broker) -> Iterator[KafkaAdminClient]:
    """Return an admin client."""
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as client:
        yield client


@pytest.fixture
def commit(kafka: KafkaSettings) -> Callable[..., None]:
    """Commit offsets: `commit(group, {(topic, partition): offset})`."""

    def commit_to(group: str, offsets: dict[tuple[str, int], int]) -> None:
        with closing(GroupCommitter(kafka, group)) as committer:
            committer(offsets)

    return commit_to


@pytest.fixture
def read_lag(kafka: KafkaSettings) -> Iterator[Callable[..., list[PartitionLag]]]:
    """Read a group's lag with one reader: `read_lag(input_topics=["t"], group_id="g")`."""
    readers: dict[str, LagReader] = {}

    def once(*, ages: bool = True, **stream: Any) -> list[PartitionLag]:  # noqa: ANN401 - settings
        settings = StreamSettings(**stream)
        reader = readers.setdefault(str(settings), LagReader(kafka, settings))
        return list(reader.read(time.time(), ages=ages).partitions)

    yield once
    for reader in readers.values():
        reader.close()


def with_ages(read: Callable[[], list[PartitionLag]]) -> list[PartitionLag]:
    """Read until each partition that lags has an age; a read waits for only 3 s."""
    deadline = time.monotonic() + 120
    lags = read()
    while any(p.lag and p.age is None for p in lags):
        assert time.monotonic() < deadline, lags
        lags = read()
    return lags


def old(**record: Any) -> dict[str, Any]:  # noqa: ANN401 - a record's fields
    """Return a record that was sent half an hour ago."""
    return {"value": b"x", "timestamp": int((time.time() - HOUR / 2) * 1000), **record}


class TestLagReader:
    """The reader returns a group's lag by partition."""

    def test_several_topics(
        self,
        broker: Broker,
        make_topic: Callable[..., str],
        commit: Callable[..., None],
        read_lag: Callable[..., list[PartitionLag]],
    ) -> None:
        """It covers all partitions of the input topics, and no other topics of the group."""
        one, two, other = sorted(make_topic(partitions=2) for _ in range(3))
        for topic in (one, two, other):
            produce(broker.bootstrap_servers, topic, *(old(partition=0),) * 5)
        stream = {"input_topics": [two, one, "not-there"], "group_id": one}
        assert [(p.committed, p.lag) for p in read_lag(**stream)] == [(None, 5), (None, 0)] * 2

        commit(one, {(one, 0): 5, (one, 1): 0, (two, 0): 3, (other, 0): 1, (other, 1): 0})
        lags = with_ages(lambda: read_lag(**stream))
        assert [(p.topic, p.partition, p.begin, p.end, p.committed, p.lag) for p in lags] == [
            (one, 0, 0, 5, 5, 0),
            (one, 1, 0, 0, 0, 0),
            (two, 0, 0, 5, 3, 2),
            (two, 1, 0, 0, None, 0),
        ]
        assert [p.age and round(p.age / HOUR, 1) for p in lags] == [None, None, 0.5, None]
        assert {p.age for p in read_lag(**stream, ages=False)} == {None}

    def test_no_topic(self, read_lag: Callable[..., list[PartitionLag]]) -> None:
        """If no input topic exists, that is an error, not a lag of 0."""
        with pytest.raises(NoInputTopic, match="not-there"):
            read_lag(input_topics=["not-there"])

    def test_pattern(
        self,
        make_topic: Callable[..., str],
        admin: KafkaAdminClient,
        read_lag: Callable[..., list[PartitionLag]],
    ) -> None:
        """A pattern matches new topics and partitions as well, but no internal topics."""
        first = make_topic("seen")
        stream = {"input_pattern": f"{first}.*|__consumer.*", "group_id": first}
        assert [(p.topic, p.partition) for p in read_lag(**stream)] == [(first, 0)]
        admin.create_partitions({first: 2})
        admin.create_topics({f"{first}-b": {"num_partitions": 1, "replication_factor": 1}})
        deadline = time.monotonic() + 120
        while len(lags := read_lag(**stream)) < 3:
            assert time.monotonic() < deadline, lags
        assert [(p.topic, p.partition) for p in lags] == [
            *((first, 0), (first, 1), (f"{first}-b", 0))
        ]

    @pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
    def test_age(
        self,
        compression: str,
        broker: Broker,
        make_topic: Callable[..., str],
        commit: Callable[..., None],
        read_lag: Callable[..., list[PartitionLag]],
    ) -> None:
        """The age is that of the first waiting message, even inside a compressed batch."""
        topic = make_topic(partitions=2)
        records = [
            {"value": b"x", "timestamp": int((time.time() - n) * 1000), "partition": partition}
            for n in (9000, 600, 60)
            for partition in (0, 1)
        ]
        produce(broker.bootstrap_servers, topic, *records, compression=compression)
        commit(topic, {(topic, 0): 1, (topic, 1): 2})
        lags = with_ages(lambda: read_lag(input_topics=[topic], group_id=topic))
        ages = [p.age for p in lags]
        assert ages == [pytest.approx(600, abs=30), pytest.approx(60, abs=30)]

    def test_many_partitions(
        self,
        broker: Broker,
        make_topic: Callable[..., str],
        read_lag: Callable[..., list[PartitionLag]],
    ) -> None:
        """Ages of a hundred partitions arrive in one read, and in later reads."""
        topic = make_topic(partitions=100)
        produce(broker.bootstrap_servers, topic, *(old(partition=n % 100) for n in range(1000)))
        for _ in range(2):
            lags = with_ages(lambda: read_lag(input_topics=[topic], group_id=topic))
            assert len([p for p in lags if p.age is not None]) == 100

    def test_retention(
        self,
        broker: Broker,
        make_topic: Callable[..., str],
        commit: Callable[..., None],
        admin: KafkaAdminClient,
        read_lag: Callable[..., list[PartitionLag]],
    ) -> None:
        """Messages removed before they were answered are counted; ages cover the rest."""
        topic = make_topic()
        produce(broker.bootstrap_servers, topic, *(old(),) * 10)
        commit(topic, {(topic, 0): 4})
        admin.delete_records({TopicPartition(topic, 0): 7})
        (lag,) = with_ages(lambda: read_lag(input_topics=[topic], group_id=topic))
        assert (lag.begin, lag.end, lag.lag, lag.expired) == (7, 10, 6, 3)
        assert lag.age == pytest.approx(HOUR / 2, abs=60)

    def test_transactions(
        self,
        broker: Broker,
        make_topic: Callable[..., str],
        commit: Callable[..., None],
        read_lag: Callable[..., list[PartitionLag]],
    ) -> None:
        """Messages wait once their transaction ends; its marker has no age."""
        topic = make_topic()
        commit(topic, {(topic, 0): 0})
        stream = {"input_topics": [topic], "group_id": topic}
        producer = Producer(
            {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": topic}
        )
        producer.init_transactions(120)
        producer.begin_transaction()
        producer.produce(topic, **old())
        producer.flush(120)
        produce(broker.bootstrap_servers, topic, *({"value": b"behind it"},) * 50)
        deadline = time.monotonic() + 120
        while (pending := read_lag(**stream)[0]).held_for is None:
            assert time.monotonic() < deadline
        assert (pending.end, pending.lag, pending.age) == (0, 0, None)
        assert pending.held_back == 51
        assert pending.held_for == pytest.approx(HOUR / 2, abs=60)
        (unaged,) = read_lag(**stream, ages=False)
        assert (unaged.held_back, unaged.held_for) == (51, None)
        producer.commit_transaction(120)
        deadline = time.monotonic() + 120
        while read_lag(**stream, ages=False)[0].end < 52:  # the marker follows
            assert time.monotonic() < deadline
        (done,) = with_ages(lambda: read_lag(**stream))
        assert (done.lag, done.held_back, done.held_for) == (52, 0, None)
        assert done.age == pytest.approx(HOUR / 2, abs=60)
        commit(topic, {(topic, 0): 51})
        deadline = time.monotonic() + 120
        taken = 2.0
        while taken >= 2:  # of three reads that would wait for a record that cannot come
            began = time.monotonic()
            assert began < deadline
            (marker,) = read_lag(**stream)
            assert (marker.lag, marker.age) == (1, None)
            taken = time.monotonic() - began


class TestProgram:
    """The command runs beside a job that is stopped before it finishes."""

    def test_once_and_watch(self, pipeline: Pipeline, broker: Broker) -> None:
        """It agrees with Kafka's tool, ends with no lag, and survives outages."""
        gate = pipeline.folder / "gate"
        for partition in range(3):
            texts = ["t" if n < 10 or partition else "held" for n in range(20)]
            sent = [message(f"{partition}-{n}", text) for n, text in enumerate(texts)]
            pipeline.produce(*({**record, "partition": partition} for record in sent))
        job = pipeline.environment(
            "Hanging",
            options={"until": str(gate), "on": "held"},
            max_seconds=3600,
            STREAM__MAX_OFFSETS_PER_TRIGGER="15",
            STREAM__TRIGGER="available-now",
        )
        with pipeline.program(job) as stream:
            # Two micro-batches of 5 messages of each partition; the third is held.
            wait_for(lambda: committed(pipeline) == 30, stream)
            assert pipeline.committed() == (30, 30)
            with pipeline.program(job, "lag", "--json", "--every", "0.5") as lag:
                assert lag.wait() == 0, lag.output
            (document,) = documents(lag)
            assert [(p["end"], p["committed"], p["lag"]) for p in document["partitions"]] == [
                *[(20, 10, 10)] * 3
            ]
            assert document["group"] == pipeline.source
            assert document["total"].pop("age_seconds") > 0
            held = {"held_back": 0, "held_back_seconds": None}
            rest = {"lag": 30, "rate": 0, "arriving": 0, "catch_up_seconds": None}
            assert document["total"] == rest | held
            with pipeline.program(job, "lag") as table:
                assert table.wait() == 0, table.output
            assert "nothing was answered in the last" in table.output

            with pipeline.program(job, "lag", "--watch", "--json", "--every", "0.5") as watch:
                wait_for(lambda: len(documents(watch)) >= 2, watch)
                gate.touch()
                assert stream.wait() == 0, stream.output
                assert pipeline.committed() == (60, 0)
                wait_for(lambda: any(map(is_caught_up, documents(watch))), watch)

                broker.kill()
                try:
                    wait_for(lambda: documents(watch)[-1]["trouble"] is not None, watch)
                finally:
                    broker.start()
                wait_for(lambda: documents(watch)[-1]["trouble"] is None, watch)
                watch.process.send_signal(signal.SIGINT)
                assert watch.wait() == 0, watch.output
        assert [line for line in watch.output.splitlines() if not line.startswith("{")] == []


def committed(pipeline: Pipeline) -> int:
    """Return the sum of the group's offsets."""
    servers, source = pipeline.broker.bootstrap_servers, pipeline.source
    return sum(committed_offsets(servers, source, source).values())


def is_caught_up(document: dict[str, Any]) -> bool:
    """Return whether it is the first document without a lag, which has the rate until then."""
    total = document["total"]
    return bool(total["lag"] == 0 and total["rate"] > 0)


def documents(program: JobProcess) -> list[dict[str, Any]]:
    """Return the complete JSON lines that a program has printed."""
    return [json.loads(line) for line in program.output.split("\n")[:-1] if line.startswith("{")]


def wait_for(done: Callable[[], bool], program: JobProcess) -> None:
    """Wait for a condition while a program runs."""
    deadline = time.monotonic() + 240
    while not done():
        program.must_run()
        assert time.monotonic() < deadline, program.output
        time.sleep(0.2)
