"""When results arrive at one who waits for them."""

from __future__ import annotations

import threading
import time
from typing import Self

from confluent_kafka import Consumer, TopicPartition


class Arrivals:
    """Read a topic from its end in a thread, committed records only, and note when each came."""

    def __init__(self, servers: str, topic: str) -> None:
        """Be at the topic's end."""
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "waits-for-results",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # Else it asks only once so often, which is no part of what is measured.
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
        # When a message was sent, as its outcome says, and when the outcome came; in seconds.
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
        """Wait until so many have come.

        Raises:
            TimeoutError: They have not.

        """
        deadline = time.monotonic() + timeout
        while len(self.times) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.times)} of {count} results came in {timeout} s")
            time.sleep(0.001)

    def _run(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.1)  # `consume` would wait for more of them
            if message is not None and message.error() is None:
                now = time.time()
                headers = dict(message.headers() or [])
                self.values.append(message.value() or b"")
                self.times.append((int(headers["tidemill.source.timestamp"]) / 1000, now))
