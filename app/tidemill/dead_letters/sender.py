"""Send dead letters to where their messages came from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, Producer

from tidemill.dead_letters.letters import replayed_headers
from tidemill.inference.codec import MAX_UNCOMPRESSED_BYTES
from tidemill.kafka.client_options import LIBRDKAFKA_LOGGER, librdkafka_options

if TYPE_CHECKING:
    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.settings import KafkaSettings

GIVE_UP = 60  # seconds
NO_ANSWER = f"the broker did not answer within {GIVE_UP} s"


class Sender:
    """An idempotent producer that knows of each letter what became of it."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Connect.

        A letter goes to its partition with its key, value and headers, and the time of now.
        """
        self._producer = Producer(
            {
                **librdkafka_options(kafka),
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": kafka.compression_type,
                "message.max.bytes": MAX_UNCOMPRESSED_BYTES,
                # A topic refuses batches: a letter that is too large for it takes no other along.
                "batch.num.messages": 1,
                "queue.buffering.max.kbytes": 2 * MAX_UNCOMPRESSED_BYTES // 1024,
                "message.timeout.ms": 1000 * GIVE_UP,
                # After a letter that is refused an idempotent producer rests for so long.
                "retry.backoff.ms": 10,
                "error_cb": lambda _: None,  # each letter's own outcome says what went wrong
            },
            logger=LIBRDKAFKA_LOGGER,
        )
        self._outcomes: dict[tuple[int, int], str | None] = {}

    @property
    def unsettled(self) -> int:
        """Return how many letters were sent since the last settlement."""
        return len(self._outcomes)

    def send(self, letter: DeadLetter) -> None:
        """Hand a letter over; wait while too much is under way."""
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

    def settle(self) -> dict[tuple[int, int], str | None]:
        """Wait for all; return by partition and offset what went wrong, None where nothing did."""
        self._producer.flush(2 * GIVE_UP)
        outcomes, self._outcomes = self._outcomes, {}
        return outcomes

    def _note(self, place: tuple[int, int], error: KafkaError | None, _: object) -> None:
        if error is None:
            self._outcomes[place] = None
        elif error.code() != KafkaError._MSG_TIMED_OUT:  # noqa: SLF001 - its public name
            self._outcomes[place] = error.str()
