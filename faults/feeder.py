"""Feed a topic with messages at a steady rate, about one bad record in a hundred."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka import Producer

from dev.pipeline.messages import encode_message

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

KEYS = 40
BAD_SHARE = 0.01
STEP_S = 0.02


def bad(uuid: int) -> tuple[bytes | None, ...]:
    """Return one value of each kind that becomes a dead letter."""
    return (
        None,
        b"not JSON",
        b"\xff\xfe",
        b"[1]",
        json.dumps({"lang": "en", "uuid": str(uuid)}).encode(),
        encode_message("in German", "de", uuid),
        encode_message("x" * 2000, uuid=uuid),
        encode_message("raise", uuid=uuid),
    )


def stream(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Yield records without end, as arguments of confluent-kafka's `produce`."""
    uuid = 0
    while True:
        text = f"message {uuid} " + "word " * rng.randrange(12)
        value: bytes | None = encode_message(text, uuid=uuid)
        if rng.random() < BAD_SHARE:
            value = rng.choice(bad(uuid))
        key = None if rng.random() < 0.1 else f"key-{rng.randrange(KEYS)}".encode()
        headers = [("trace", str(uuid).encode())] if rng.random() < 0.2 else []
        yield {"value": value, "key": key, "headers": headers}
        uuid += 1


class Feeder:
    """Send messages to a topic at a given rate, in a thread, until it is stopped."""

    def __init__(
        self, servers: str, topic: str, rate: float, messages: Iterator[dict[str, Any]]
    ) -> None:
        """Take the messages, and the rate a second."""
        self.sent = 0
        self._topic = topic
        self._rate = rate
        self._records = messages
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        # Idempotent, so that every message that it counts is in the topic once.
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 5,
                # Spread messages without a key over all partitions, instead of one for a while.
                "sticky.partitioning.linger.ms": 0,
                "log_level": 0,
            }
        )

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> int:
        """Stop; return how many messages were sent."""
        self._stopping.set()
        self._thread.join()
        assert not self._producer.flush(240), "not all messages were sent"
        return self.sent

    def _run(self) -> None:
        start = time.monotonic()
        while not self._stopping.wait(STEP_S):
            due = int((time.monotonic() - start) * self._rate)
            while self.sent < due:
                self._producer.produce(self._topic, **next(self._records))
                self.sent += 1
            self._producer.poll(0)
