"""Send dead letters back to the topics that their messages came from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from tidemill.dead_letters.letters import replayed_headers
from tidemill.kafka.clients import create_producer

if TYPE_CHECKING:
    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.settings import KafkaSettings

DELIVERY_TIMEOUT_S = 60
NO_ANSWER = f"the broker did not answer within {DELIVERY_TIMEOUT_S} s"


class Sender:
    """An idempotent producer that records the outcome of each letter."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Connect.

        A letter goes to its partition with its key, value and headers, and the current time.
        """
        options = {
            "enable.idempotence": True,
            "acks": "all",
            # A topic refuses whole batches, so a letter that is too large must not share one.
            "batch.num.messages": 1,
            "message.timeout.ms": 1000 * DELIVERY_TIMEOUT_S,
            # An idempotent producer pauses for so long after a refused letter.
            "retry.backoff.ms": 10,
        }
        self._producer = create_producer(kafka, options)
        self._outcomes: dict[tuple[int, int], str | None] = {}

    @property
    def in_flight(self) -> int:
        """Return the number of letters sent since the last flush."""
        return len(self._outcomes)

    def send(self, letter: DeadLetter) -> None:
        """Send a letter; wait while the queue is full."""
        place = letter.partition, letter.offset
        self._outcomes[place] = NO_ANSWER
        while True:
            try:
                self._producer.produce(
                    letter.source_topic or "",
                    partition=-1 if letter.source_partition is None else letter.source_partition,
                    key=letter.key,
                    value=letter.value,
                    headers=[*replayed_headers(letter)],
                    on_delivery=partial(self._note, place),
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._outcomes[place] = error.args[0].str()
                return
            else:
                self._producer.poll(0)
                return

    def flush(self) -> dict[tuple[int, int], str | None]:
        """Wait for all letters; return each one's error by partition and offset, or None."""
        self._producer.flush(2 * DELIVERY_TIMEOUT_S)
        outcomes, self._outcomes = self._outcomes, {}
        return outcomes

    def _note(self, place: tuple[int, int], error: KafkaError | None, _: object) -> None:
        if error is None:
            self._outcomes[place] = None
        elif error.code() != KafkaError._MSG_TIMED_OUT:  # noqa: SLF001 - its public name
            self._outcomes[place] = error.str()
