"""Tests of `tidemill store follow` with a real broker: each record once, whatever is killed."""

from __future__ import annotations

import json
import random
import signal
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]
from pool_processes import wait_until

from dev.kafka.topics import create_topic
from dev.pipeline.job_process import JobProcess
from dev.postgres import Postgres
from tidemill.bootstrap.follow import follow
from tidemill.errors import InvalidRow, NoInputTopic, OffsetsBeyondEnd, UnknownTable
from tidemill.kafka import followed_topic
from tidemill.kafka.followed_topic import FollowedTopic
from tidemill.settings import FollowProgram, KafkaSettings, StoreSettings
from tidemill.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dev.kafka.broker import Broker

COLUMNS = {"id": "text", "n": "integer", "more": "json or null"}
PARTITIONS = 3
PATIENCE_S = 240.0
COMMAND = "store", "follow", "results"


@pytest.fixture
def settings(broker: Broker, tmp_path: Path) -> FollowProgram:
    """Settings with the broker, and a store with the table `results`."""
    tables: Any = {"results": {"key": "id", "columns": COLUMNS}}
    url = f"sqlite:///{tmp_path}/store.db"
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    return FollowProgram(kafka=kafka, store=StoreSettings(url=url, tables=tables))


def row(key: str, n: object, **more: object) -> dict[str, bytes]:
    """Return a record with a row."""
    return {"key": key.encode(), "value": json.dumps({"id": key, "n": n, **more}).encode()}


def content(settings: FollowProgram, keys: int = 20) -> dict[str, int]:
    """Return the column `n` of the table by key."""
    names = [f"k{number}" for number in range(keys)]
    with Store(settings.store.url) as store:
        rows = store.get("results", names).rows
    return {key: row.values["n"] for key, row in zip(names, rows, strict=True) if row}


def environment(settings: FollowProgram) -> dict[str, str]:
    """Return settings as a process gets them."""
    return {
        "TIDEMILL__KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "TIDEMILL__STORE__URL": settings.store.url,
        "TIDEMILL__STORE__TABLES": json.dumps(settings.store.model_dump()["tables"]),
    }


def wait_for_records(settings: FollowProgram, topic: str, count: int) -> None:
    """Wait until the table has at least so many records of a topic."""
    with Store(settings.store.url) as store:
        wait_until(
            lambda: sum(store.position("results", (topic, p)) for p in range(PARTITIONS)) >= count,
            PATIENCE_S,
        )


class TestFollow:
    """What a topic has is in the table."""

    def test_rows_and_deletions(
        self, settings: FollowProgram, make_topic: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """The last value of a key wins, a record without a value deletes, other fields are left."""
        topic = make_topic(partitions=PARTITIONS)
        produce(topic, row("k0", 1), row("k1", 1, other=2), row("k0", 2), row("k2", 1))
        produce(topic, {"key": b"k2"})
        follow(settings, "results", topic, until_end=True)
        assert content(settings) == {"k0": 2, "k1": 1}

    def test_again(
        self, settings: FollowProgram, make_topic: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """Another run goes on at the table's position, whatever the group has committed."""
        topic = make_topic()
        produce(topic, row("k0", 1), row("k1", 1))
        follow(settings, "results", topic, until_end=True)
        produce(topic, row("k1", 2))
        follow(settings, "results", topic, "another-group", until_end=True)
        assert content(settings) == {"k0": 1, "k1": 2}
        with Store(settings.store.url) as store:
            assert store.position("results", (topic, 0)) == 3

    def test_lag(
        self, settings: FollowProgram, make_topic: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """The group's committed offset shows what was written."""
        topic = make_topic()
        produce(topic, row("k0", 1), row("k1", 1))
        follow(settings, "results", topic, until_end=True)
        servers = settings.kafka.bootstrap_servers
        group = Consumer({"bootstrap.servers": servers, "group.id": "tidemill-store-results"})
        (committed,) = group.committed([TopicPartition(topic, 0)], timeout=PATIENCE_S)
        group.close()
        assert committed.offset == 2

    def test_new_partition(
        self,
        broker: Broker,
        settings: FollowProgram,
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A partition that is added while it runs is read, too."""
        monkeypatch.setattr(followed_topic, "REFRESH_S", 0)
        topic = make_topic()
        with closing(FollowedTopic(settings.kafka, topic, "any", lambda _: 0)) as reader:
            wait_until(lambda: reader.read(1, 0.1) or reader.is_at_end, PATIENCE_S)
            admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
            admin.create_partitions([NewPartitions(topic, 2)])[topic].result(60)
            produce(topic, {"partition": 1} | row("k0", 1))
            wait_until(lambda: 1 in reader.read(1, 0.1), PATIENCE_S)

    def test_dropped_messages(
        self,
        broker: Broker,
        settings: FollowProgram,
        make_topic: Callable[..., str],
        produce: Callable[..., None],
    ) -> None:
        """If the topic drops messages before they are read, the rest is written."""
        topic = make_topic()
        produce(topic, row("k0", 1))
        follow(settings, "results", topic, until_end=True)
        produce(topic, row("k1", 1), row("k2", 1))
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        place = TopicPartition(topic, 0, 2)
        admin.delete_records([place])[place].result(60)
        follow(settings, "results", topic, until_end=True)
        assert content(settings) == {"k0": 1, "k2": 1}


class TestInvalid:
    """A record that does not fit is never lost without a word."""

    @pytest.mark.parametrize(
        "bad",
        [{"value": b"no json"}, row("k1", "no number"), {"value": b"{}"}, {"key": b"\xff"}, {}],
    )
    def test_stops(
        self,
        settings: FollowProgram,
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        bad: dict[str, bytes],
    ) -> None:
        """The rows before it are written, and the error names its offset; or it is skipped."""
        topic = make_topic()
        produce(topic, row("k0", 1), bad, row("k2", 1))
        with pytest.raises(InvalidRow, match="row 1 "):
            follow(settings, "results", topic, until_end=True)
        assert content(settings) == {"k0": 1}
        follow(settings, "results", topic, until_end=True, skip_invalid=True)
        assert content(settings) == {"k0": 1, "k2": 1}

    def test_no_table(self, settings: FollowProgram, make_topic: Callable[..., str]) -> None:
        """A table that does not exist, and is not described, is an error."""
        with pytest.raises(UnknownTable):
            follow(settings, "others", make_topic(), until_end=True)

    def test_no_topic(self, settings: FollowProgram) -> None:
        """A topic that does not exist is an error, and is not created."""
        with pytest.raises(NoInputTopic):
            follow(settings, "results", "there-is-no-such-topic", until_end=True)

    def test_recreated_topic(
        self,
        broker: Broker,
        settings: FollowProgram,
        make_topic: Callable[..., str],
        produce: Callable[..., None],
    ) -> None:
        """A topic that was created again is an error: its first messages would be left out."""
        topic = make_topic()
        produce(topic, row("k0", 1), row("k1", 1))
        follow(settings, "results", topic, until_end=True)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.delete_topics([topic])[topic].result(60)
        create_topic(broker.bootstrap_servers, topic, partitions=1)
        with pytest.raises(OffsetsBeyondEnd):
            follow(settings, "results", topic, until_end=True)


class TestOutage:
    """While the store is down, nothing is lost."""

    def test_waits(
        self,
        settings: FollowProgram,
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        tmp_path: Path,
    ) -> None:
        """A follower waits for a PostgreSQL that restarts, and then goes on."""
        topic = make_topic()
        with Postgres() as database:
            own = settings.store.model_copy(update={"url": database.url})
            program = settings.model_copy(update={"store": own})
            with JobProcess(tmp_path, environment(program), *COMMAND, topic) as follower:
                produce(topic, row("k0", 1))
                wait_for_records(program, topic, 1)
                database.stop()
                produce(topic, row("k0", 2), row("k1", 1))
                follower.wait_for("waiting for the store")
                database.start()
                wait_for_records(program, topic, 3)
                follower.process.send_signal(signal.SIGTERM)
                assert follower.wait() == 0
            assert content(program) == {"k0": 2, "k1": 1}


class TestKills:
    """Two followers, killed at any time, write each record once."""

    def test_exact_content(
        self,
        settings: FollowProgram,
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        tmp_path: Path,
    ) -> None:
        """After kills of both, the table is what a dict would be."""
        topic = make_topic(partitions=PARTITIONS)
        expected: dict[str, int] = {}
        choice = random.Random(1)  # noqa: S311 - no secret

        def start() -> JobProcess:
            process = JobProcess(tmp_path, environment(settings), *COMMAND, topic)
            return stack.enter_context(process)

        with ExitStack() as stack:
            followers = [start(), start()]
            total = 0
            for n in range(4):
                sent = []
                for _ in range(choice.randrange(2000, 6000)):
                    key = f"k{choice.randrange(20)}"
                    expected[key] = expected.get(key, 0) + 1
                    sent.append(row(key, expected[key]))
                produce(topic, *sent)
                wait_for_records(settings, topic, total + 1)
                total += len(sent)
                time.sleep(choice.random() / 10)
                for victim in followers[n % 2 :]:
                    victim.process.send_signal(signal.SIGKILL)
                    victim.wait()
                followers = [*followers[: n % 2], *(start() for _ in followers[n % 2 :])]
            for follower in followers:
                follower.wait_for("following")
                follower.process.send_signal(signal.SIGTERM)
                assert follower.wait() == 0
        follow(settings, "results", topic, until_end=True)
        assert content(settings) == expected
