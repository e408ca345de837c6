"""A batch's records are sent in one transaction, once."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaException

from faults.scenario import wait_until
from tidemill.errors import NotSent, SendingTooLong
from tidemill.kafka import single_transaction
from tidemill.kafka.clients import create_producer
from tidemill.kafka.ranges import offset_ranges
from tidemill.kafka.single_transaction import Sending, send_once
from tidemill.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.kafka.broker import Broker
    from dev.pipeline.records import Record


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    """The settings of the broker; without compression, sizes are exact."""
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers, compression_type="none")


@pytest.fixture
def name() -> str:
    """A transactional id, and group."""
    return f"tidemill-batch-{uuid.uuid4().hex}"


def some(topic: str, count: int = 3, size: int = 1) -> list[Sending]:
    """Return records."""
    return [Sending(topic, b"%d" % i, b"x" * size, [("h", None)]) for i in range(count)]


class TestSendOnce:
    """All records become visible together, and once for each name."""

    def test_once(
        self,
        kafka: KafkaSettings,
        make_topic: Callable[..., str],
        read_topic: Callable[[str], list[Record]],
        name: str,
    ) -> None:
        """A second call sends nothing, even if the first had nothing to send."""
        full, empty = make_topic(partitions=2), make_topic()
        for _ in range(2):
            send_once(kafka, name, full, some(full), batch_bytes=1000)
        send_once(kafka, f"{name}e", empty, [], batch_bytes=1000)
        send_once(kafka, f"{name}e", empty, some(empty), batch_bytes=1000)
        assert sorted(record.key or b"" for record in read_topic(full)) == [b"0", b"1", b"2"]
        assert read_topic(full)[0].headers == [("h", None)]
        assert read_topic(empty) == []

    def test_fenced(
        self,
        kafka: KafkaSettings,
        make_topic: Callable[..., str],
        read_topic: Callable[[str], list[Record]],
        name: str,
    ) -> None:
        """A process that was thought to be dead cannot commit what it has begun."""
        topic = make_topic()
        zombie = create_producer(kafka, {"transactional.id": name})
        zombie.init_transactions(60)
        zombie.begin_transaction()
        zombie.produce(topic, b"of the zombie")
        zombie.flush(60)
        send_once(kafka, name, topic, some(topic), batch_bytes=1000)
        with pytest.raises(KafkaException):
            zombie.commit_transaction(60)
        assert [record.value for record in read_topic(topic)] == [b"x"] * 3

    def test_refused(
        self,
        kafka: KafkaSettings,
        make_topic: Callable[..., str],
        read_topic: Callable[[str], list[Record]],
        name: str,
    ) -> None:
        """If the topic refuses one record, none is visible; the error says why."""
        topic = make_topic(configs={"max.message.bytes": "1000"})
        records = [*some(topic), *some(topic, 1, size=2000), *some(topic)]
        with pytest.raises(NotSent, match="Message size too large"):
            send_once(kafka, name, topic, records, batch_bytes=500)
        assert read_topic(topic) == []
        send_once(kafka, name, topic, some(topic), batch_bytes=500)
        assert len(read_topic(topic)) == len(some(topic))

    def test_too_long(
        self,
        kafka: KafkaSettings,
        make_topic: Callable[..., str],
        read_topic: Callable[[str], list[Record]],
        name: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """If Kafka ends the transaction meanwhile, none is visible; the error says what to do."""
        topic = make_topic()
        monkeypatch.setattr(single_transaction, "_longest_transaction", lambda _: 1000)

        def slow() -> Iterator[Sending]:
            yield from some(topic)
            # Readers pass the records over once the broker has ended their transaction.
            wait_until(lambda: any(offset_ranges(kafka, topic).values()))
            yield from some(topic)

        with pytest.raises(SendingTooLong) as refused:
            send_once(kafka, name, topic, slow(), batch_bytes=1000)
        assert "transaction.max.timeout.ms" in refused.value.hint
        assert read_topic(topic) == []
