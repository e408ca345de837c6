"""One real Kafka broker for all broker tests, and the plain client calls that they share."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import tokens
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from app.streaming.preflight import ADDED_BYTES
from deploy.local.broker import Broker
from deploy.local.certificates import Certificates, issue_certificates
from deploy.local.distribution import fetch_kafka
from deploy.local.properties import Tls
from deploy.local.topics import create_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INPUT_LIMIT = 1_048_588  # of a topic, where nothing else is said
USER, PASSWORD = "tidemill", "tide-and-mill"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as a consumer got it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The PEM files of the broker and of a client that it lets in."""
    return issue_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def credentials() -> tuple[str, str]:
    """The user name and password that the broker knows."""
    return USER, PASSWORD


@pytest.fixture(scope="session")
def broker(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Broker]:
    """A broker that listens in plain text, with SCRAM and OAuth over TLS, and for certificates."""
    tls = Tls(certificates.broker, certificates.ca)
    folder = tmp_path_factory.mktemp("broker")
    keys = folder / "keys.json"
    tokens.write_keys(keys)
    with Broker(
        folder,
        fetch_kafka(),
        tls=tls,
        users={USER: PASSWORD},
        properties=tokens.broker_properties(keys),
        jvm_options=[tokens.broker_jvm_option(keys)],
    ) as running:
        yield running


@pytest.fixture
def make_topic(broker: Broker) -> Callable[..., str]:
    """Make a topic with a name of its own: `make_topic("input", partitions=4, configs={...})`."""

    def make(
        name: str = "topic", *, partitions: int = 1, configs: dict[str, str] | None = None
    ) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        create_topic(broker.bootstrap_servers, unique, partitions=partitions, configs=configs)
        return unique

    return make


@pytest.fixture
def topics(make_topic: Callable[..., str]) -> tuple[str, str, str]:
    """An input, an output and a dead-letter topic, as large as they must be."""
    limit = {"max.message.bytes": str(INPUT_LIMIT + ADDED_BYTES)}
    return make_topic("in"), make_topic("out", configs=limit), make_topic("dead", configs=limit)


@pytest.fixture
def models(tmp_path: Path) -> Callable[..., Path]:
    """Write a models.yaml with one model of the tests: `models("Slow", seconds=1)`."""

    def write(adapter: str, **options: object) -> Path:
        path = tmp_path / "models.yaml"
        entry = {
            "name": "test",
            "version": "1",
            "adapter": f"example_models:{adapter}",
            "options": options,
            "match": {"lang": "en"},
            "payload": "text",
            "result": "answer",
            "sample": "a sample",
        }
        path.write_text(yaml.safe_dump({"models": [entry]}))
        return path

    return write


@pytest.fixture
def committed(broker: Broker) -> Callable[[str], dict[str, str]]:
    """What Kafka's own tool says of a group's first partition, by column."""

    def describe(group: str) -> dict[str, str]:
        done = broker.tool(
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            *("--bootstrap-server", broker.bootstrap_servers, "--describe", "--group", group),
        )
        head, *rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
        assert rows, done.stdout + done.stderr
        return dict(zip(head, rows[0], strict=True))

    return describe


@pytest.fixture
def produce(broker: Broker) -> Callable[..., None]:
    """Produce records: `produce(topic, {"value": b"...", "key": None, "headers": [("a", None)]})`.

    A record is what confluent-kafka's `produce` takes: kafka-python refuses headers without a
    value, which Kafka allows.
    """
    # Java's partitioner: librdkafka's own puts the same key into another partition.
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "partitioner": "murmur2_random",
            "message.max.bytes": 8 * 1024 * 1024,
            "linger.ms": 5,
        }
    )
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: object) -> None:
        if error is not None:
            failed.append(error)

    def send(topic: str, *records: dict[str, Any]) -> None:
        for record in records:
            producer.produce(topic, on_delivery=delivered, **record)
            producer.poll(0)
        producer.flush(30)
        assert not failed, failed

    return send


@pytest.fixture
def read_topic(broker: Broker) -> Callable[[str], list[Record]]:
    """Read a whole topic, read_committed, in the order of partition and offset."""

    def read(topic: str) -> list[Record]:
        consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": "reads-without-committing",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        try:
            open_partitions = set(consumer.list_topics(topic, 10).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in open_partitions])
            records = []
            while open_partitions:
                message = consumer.poll(30)
                assert message is not None, f"{topic} did not end within 30 s"
                if (error := message.error()) is None:
                    records.append(as_record(message))
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    open_partitions.discard(message.partition())
                else:
                    pytest.fail(str(error))
        finally:
            consumer.close()
        return sorted(records, key=lambda record: (record.partition, record.offset))

    return read


def as_record(message: Any) -> Record:  # noqa: ANN401 - confluent-kafka's Message cannot be made
    """Turn confluent-kafka's message into a value that can be compared."""
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or [],
    )
