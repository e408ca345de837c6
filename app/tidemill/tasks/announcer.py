"""Announce runs that have ended in a topic of Kafka: at least once, whatever crashes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from confluent_kafka import KafkaException

from tidemill.errors import AnnouncementFailed
from tidemill.kafka.clients import create_producer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import KafkaError, Message

    from tidemill.settings import KafkaSettings
    from tidemill.tasks.outbox import Outbox
    from tidemill.tasks.runs import Run

OPTIONS: Final = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": 10_000,
    "partitioner": "murmur2_random",  # Java's default: a key stays in its partition
}
FLUSH_S: Final = 15.0  # more than a message's time-out: each is delivered by then, or has failed


class Announcer:
    """Writes a message for each run that has ended; its key is the run's id.

    It marks a run when the broker has acknowledged the message. After a crash in between, the
    message is written again, so readers drop repetitions by run id and `ended`.
    """

    def __init__(self, outbox: Outbox, kafka: KafkaSettings, topic: str) -> None:
        """Create the producer; it connects in the background."""
        self._outbox = outbox
        self._topic = topic
        self._producer = create_producer(kafka, OPTIONS)

    def announce(self) -> None:
        """Announce what has to be.

        Raises:
            AnnouncementFailed: The broker has not acknowledged all of it; the rest stays to do.
            StoreUnavailable: The database cannot be reached.

        """
        while runs := self._outbox.waiting():
            sent, failures = self._send(runs)
            self._outbox.sent(sent)
            if len(sent) < len(runs):
                raise AnnouncementFailed(self._topic, failures[0] if failures else "no answer")

    def _send(self, runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
        """Write messages; return the runs whose message was acknowledged, and what failed."""
        sent: list[Run] = []
        failures: list[str] = []

        def delivered(run: Run, error: KafkaError | None, _: Message) -> None:
            if error is None:
                sent.append(run)
            else:
                failures.append(error.str())

        try:
            for run in runs:
                told = partial(delivered, run)
                self._producer.produce(
                    self._topic,
                    key=run.id,
                    value=msgspec.json.encode(run.as_json()),
                    on_delivery=told,
                )
        except KafkaException as error:
            failures.append(error.args[0].str())
        self._producer.flush(FLUSH_S)
        return sent, failures
