"""Announce runs that have ended in a topic of Kafka: at least once, whatever crashes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from tidemill.errors import AnnouncementFailed
from tidemill.kafka.clients import create_producer
from tidemill.tasks.runs import encode_run

if TYPE_CHECKING:
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
            sent: list[Run] = []
            failed: list[str] = []

            def delivered(run: Run, error: KafkaError | None, _: Message) -> None:
                if error is None:
                    sent.append(run)  # noqa: B023 - called before the next round
                else:
                    failed.append(error.str())  # noqa: B023

            for run in runs:
                self._producer.produce(
                    self._topic,
                    key=run.id,
                    value=encode_run(run),
                    on_delivery=partial(delivered, run),
                )
            self._producer.flush(FLUSH_S)
            self._outbox.sent(sent)
            if len(sent) < len(runs):
                raise AnnouncementFailed(self._topic, failed[0] if failed else "no answer")
