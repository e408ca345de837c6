"""Record when results arrive at a consumer."""

from __future__ import annotations

import threading
import time
from typing import Self

from confluent_kafka import Consumer, TopicPartition

from dev.pipeline.records import as_record


class ArrivalReader:
    """Read committed records from a topic's end, in a thread, and note when each arrives."""

    def __init__(self, servers: str, topic: str) -> None:
        """Seek to the end of the topic."""
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "waits-for-results",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # Otherwise the consumer's own waiting would add to the latency.
                "fetch.wait.max.ms": 5,
                "fetch.error.backoff.ms": 5,
            }
        )
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        ends = [
            self._consumer.get_watermark_offsets(TopicPartition(topic, p))[1] for p in partitions
        ]
        self._consumer.assign(
            [TopicPartition(topic, p, end) for p, end in zip(partitions, ends, strict=True)]
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        # When each message was sent, from its outcome's header, and when the outcome arrived.
        self.times: list[tuple[float, float]] = []
        self.values: list[bytes] = []

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def wait(self, count: int, timeout: float) -> None:
        """Wait until that many results have arrived.

        Raises:
            TimeoutError: Fewer arrived in time.

        """
        deadline = time.monotonic() + timeout
        while len(self.times) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.times)} of {count} results arrived in {timeout} s")
            time.sleep(0.001)

    def _run(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.1)  # `consume` would wait for more records
            if message is not None and message.error() is None:
                now = time.time()
                record = as_record(message)
                sent = record.header("tidemill.source.timestamp")
                assert sent is not None
                self.values.append(record.value or b"")
                self.times.append((int(sent) / 1000, now))
