"""Write and read whole topics with a client that the job does not use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

INPUT_LIMIT = 1_048_588  # max.message.bytes of a topic where nothing else is said


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

    def header(self, name: str) -> str | None:
        """Return the last header of a name, as readers take it."""
        found = [value for key, value in self.headers if key == name]
        return found[-1].decode() if found and found[-1] is not None else None

    @property
    def source(self) -> tuple[int, int]:
        """Partition and offset of the message that this is the outcome of."""
        partition, offset = (
            self.header(f"tidemill.source.{name}") for name in ("partition", "offset")
        )
        assert partition is not None
        assert offset is not None
        return int(partition), int(offset)


def produce(servers: str, topic: str, *sent: dict[str, Any], compression: str = "none") -> None:
    """Send records, each what confluent-kafka's `produce` takes.

    kafka-python refuses headers without a value, which Kafka allows.
    """
    # Java's partitioner: librdkafka's own puts the same key into another partition.
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2_random",
            "message.max.bytes": 80_000_000,
            "queue.buffering.max.kbytes": 200_000,
            "compression.type": compression,
            "linger.ms": 5,
        }
    )
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: object) -> None:
        if error is not None:
            failed.append(error)

    for record in sent:
        producer.produce(topic, on_delivery=delivered, **record)
        producer.poll(0)
    producer.flush(120)
    assert not failed, failed


def read(servers: str, topic: str) -> list[Record]:
    """Return a whole topic, read_committed, in the order of partition and offset."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reads-without-committing",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    try:
        open_partitions = set(consumer.list_topics(topic, 120).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in open_partitions])
        found = []
        while open_partitions:
            message = consumer.poll(120)
            assert message is not None, f"{topic} did not end within 120 s"
            if (error := message.error()) is None:
                found.append(as_record(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                open_partitions.discard(message.partition())
            else:
                pytest.fail(str(error))
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


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
