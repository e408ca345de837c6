"""Fetch the timestamps of single messages, to tell how long they have waited."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

# kafka-python needs more packages to read lz4, snappy or zstd.
from confluent_kafka import TopicPartition

from tidemill.kafka.clients import create_consumer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.settings import KafkaSettings

READ_TIMEOUT_S = 3.0


class TimestampReader:
    """Fetch single records, without joining a group or committing."""

    def __init__(self, kafka: KafkaSettings, group_id: str, isolation_level: str) -> None:
        """Connect in the background. An absent broker raises no error here."""
        options = {
            # The broker still sends a whole batch of records, but rarely more than one.
            "fetch.message.max.bytes": 1024,
            "queued.min.messages": 1,
            "fetch.queue.backoff.ms": 0,  # by default it pauses for 1 s once a record is queued
            "fetch.wait.max.ms": 50,
        }
        self._consumer = create_consumer(kafka, group_id, isolation_level, options)

    def timestamps(
        self, offsets: Mapping[tuple[str, int], int], timeout: float = READ_TIMEOUT_S
    ) -> dict[tuple[str, int], float]:
        """Return the time of the first message at or after each offset, in seconds since the epoch.

        Leave out partitions without such a message (only a transaction marker), partitions that may
        not be read, and those that do not answer within `timeout` seconds.
        """
        times: dict[tuple[str, int], float] = {}
        waiting = dict(offsets)
        deadline = time.monotonic() + timeout
        self._consumer.assign(
            [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        )
        while waiting and (left := deadline - time.monotonic()) > 0:
            message = self._consumer.poll(left)
            if message is None or (message.error() and message.topic() is None):
                continue
            partition = (str(message.topic()), int(message.partition() or 0))
            if waiting.pop(partition, None) is None:
                continue
            _, milliseconds = message.timestamp()
            if not message.error() and milliseconds >= 0:
                times[partition] = milliseconds / 1000
            self._consumer.pause([TopicPartition(*partition)])
        self._consumer.resume([TopicPartition(*partition) for partition in offsets])
        self._consumer.unassign()
        return times

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()
