"""When single messages were sent: the oldest of a lag, the first that a transaction holds back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

# Not kafka-python: it reads what is compressed with lz4, snappy or zstd with further packages only.
from confluent_kafka import Consumer, TopicPartition

from tidemill.kafka.client_options import LIBRDKAFKA_LOGGER, librdkafka_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.settings import KafkaSettings

# Ages are a nicety: nothing waits longer for them.
PATIENCE_S = 3.0


class TimestampReader:
    """Fetch single records; a member of no group, nothing is committed."""

    def __init__(self, kafka: KafkaSettings, group_id: str, isolation_level: str) -> None:
        """Connect in the background; a broker that is away is noticed by nobody."""
        self._consumer = Consumer(
            {
                **librdkafka_options(kafka),
                "group.id": group_id,  # asked for, and not used
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": isolation_level,
                # The broker gives a whole batch of records even so, and mostly no more than one.
                "fetch.message.max.bytes": 1024,
                "queued.min.messages": 1,
                "fetch.queue.backoff.ms": 0,  # else it rests for 1 s whenever that one is there
                "fetch.wait.max.ms": 50,
                "enable.partition.eof": True,
                "error_cb": lambda _: None,  # of what goes on without harm
            },
            logger=LIBRDKAFKA_LOGGER,
        )

    def timestamps(
        self, offsets: Mapping[tuple[str, int], int], patience: float = PATIENCE_S
    ) -> dict[tuple[str, int], float]:
        """Return when the first message at or after each offset was sent, in s since the epoch.

        A partition without such a message (there is a transaction's marker only), one that may not
        be read, and one that did not answer within `patience` seconds are left out.
        """
        found: dict[tuple[str, int], float] = {}
        waiting = dict(offsets)
        deadline = time.monotonic() + patience
        self._consumer.assign([TopicPartition(*at, offset) for at, offset in offsets.items()])
        while waiting and (left := deadline - time.monotonic()) > 0:
            message = self._consumer.poll(left)
            if message is None or (message.error() and message.topic() is None):
                continue
            at = (str(message.topic()), int(message.partition() or 0))
            if waiting.pop(at, None) is None:
                continue
            _, milliseconds = message.timestamp()
            if not message.error() and milliseconds >= 0:
                found[at] = milliseconds / 1000
            self._consumer.pause([TopicPartition(*at)])
        self._consumer.resume([TopicPartition(*at) for at in offsets])
        self._consumer.unassign()
        return found

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()
