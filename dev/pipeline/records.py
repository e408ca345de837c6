"""Write and read whole topics with confluent-kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

INPUT_LIMIT = 1_048_588  # the default of max.message.bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]

    def header(self, name: str) -> str | None:
        """Return the last header with a name, as readers do."""
        values = [value for key, value in self.headers if key == name]
        return values[-1].decode() if values and values[-1] is not None else None

    @property
    def source(self) -> tuple[int, int]:
        """The partition and offset of the message whose outcome this is."""
        partition, offset = (
            self.header(f"tidemill.source.{name}") for name in ("partition", "offset")
        )
        assert partition is not None
        assert offset is not None
        return int(partition), int(offset)


def produce(servers: str, topic: str, *sent: dict[str, Any], compression: str = "none") -> None:
    """Send records, each given as arguments of confluent-kafka's `produce`.

    kafka-python rejects headers without a value, which Kafka allows.
    """
    # Java's partitioner; librdkafka's own default maps keys to other partitions.
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
    """Return all committed records of a topic, ordered by partition and offset."""
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
        records = []
        while open_partitions:
            message = consumer.poll(120)
            assert message is not None, f"the end of {topic} was not reached within 120 s"
            if (error := message.error()) is None:
                records.append(as_record(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                open_partitions.discard(message.partition())
            else:
                pytest.fail(str(error))
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def as_record(message: Any) -> Record:  # noqa: ANN401 - confluent-kafka's Message cannot be made
    """Convert confluent-kafka's message to a record, which can be compared."""
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or [],
    )
