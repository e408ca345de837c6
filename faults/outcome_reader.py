"""Follow the output topics of a pipeline: which messages have an outcome so far."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from dev.pipeline.records import as_record

if TYPE_CHECKING:
    from dev.pipeline.pipeline import Pipeline

TIMEOUT_S = 240.0


class OutcomeReader:
    """Collect the messages that have an outcome while the job writes more and more."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Read results and dead letters from the beginning."""
        self.answered: set[tuple[int, int]] = set()
        self._pipeline = pipeline
        self._consumer = Consumer(
            {
                "bootstrap.servers": pipeline.broker.bootstrap_servers,
                "group.id": "reads-without-committing",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._consumer.assign(
            [
                TopicPartition(topic, p, OFFSET_BEGINNING)
                for topic in (pipeline.output, pipeline.dead)
                for p in self._partitions(topic)
            ]
        )

    def sent(self) -> set[tuple[int, int]]:
        """Return the messages of the input topic, by partition and offset."""
        messages = set()
        for p in self._partitions(self._pipeline.source):
            first, end = self._ends(TopicPartition(self._pipeline.source, p))
            messages |= {(p, offset) for offset in range(first, end)}
        return messages

    def read(self) -> None:
        """Read what was written since the last call."""
        for message in self._consumer.consume(10_000, 0.3):
            if message.error() is None:
                self.answered.add(as_record(message).source)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _ends(self, partition: TopicPartition) -> tuple[int, int]:
        """Return a partition's first and next offset; retry while it has no leader."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self._consumer.get_watermark_offsets(partition, TIMEOUT_S)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def _partitions(self, topic: str) -> list[int]:
        return list(self._consumer.list_topics(topic, TIMEOUT_S).topics[topic].partitions)
