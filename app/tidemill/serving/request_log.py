"""Write what was asked and answered to Kafka, as if a stream had answered it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaException

from tidemill.errors import MessageError
from tidemill.inference.codec import copied_fields, decode_text, fields_or_none
from tidemill.inference.compose import compose
from tidemill.inference.headers import encode_headers
from tidemill.inference.message import Failure, Prediction
from tidemill.inference.records import RecordCodec, RoutedMessage
from tidemill.inference.request import Output, Request
from tidemill.kafka.clients import create_producer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import KafkaError, Producer
    from confluent_kafka import Message as Record

    from tidemill.inference.message import Message, Outcome
    from tidemill.serving.catalogue import Target
    from tidemill.serving.service import Answer
    from tidemill.settings import KafkaSettings, ServingSettings

log = structlog.get_logger(__name__)

OPTIONS = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": 30_000,
    "linger.ms": 20,
    "partitioner": "murmur2_random",  # Java's default: a key stays in its partition
}
POLL_S = 0.2
CLOSE_S = 5.0
# How often a lost record is logged.
WARN_S = 60.0


class RequestLog:
    """Write inputs to one topic, and results and dead letters that name these records to others.

    No request waits for Kafka. If the producer's queue is full, or the broker does not answer for
    30 s, records are dropped and counted.
    """

    def __init__(
        self, kafka: KafkaSettings, serving: ServingSettings, on_drop: Callable[[], object]
    ) -> None:
        """Create the producer; it connects in the background."""
        self._topics = serving.request_topic or "", serving.result_topic, serving.dead_letter_topic
        self._on_drop = on_drop
        self._warned = float("-inf")
        self._producer: Producer = create_producer(kafka, OPTIONS)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="request-log", daemon=True)
        self._thread.start()

    def write(
        self,
        target: Target,
        inputs: Sequence[str | MessageError],
        key: str | None,
        answers: Sequence[Answer],
    ) -> None:
        """Write the inputs for which a model was chosen; what they got follows on delivery.

        An input has no outcome if its model was down or its time was over.
        """
        for text, answer in zip(inputs, answers, strict=True):
            if answer.choice and not isinstance(text, MessageError):
                spec, assignment = answer.choice
                message = compose(target.route, spec, text, key, assignment)
                outcome = _outcome(message, text, answer)
                deliver = partial(self._delivered, message, outcome)
                self._produce(self._topics[0], message, message.value, deliver)

    def close(self) -> None:
        """Write what waits, for a few seconds."""
        self._closing.set()
        self._thread.join()
        deadline = time.monotonic() + CLOSE_S
        # The delivery of a message is what produces its outcome.
        while len(self._producer) and time.monotonic() < deadline:
            self._producer.flush(POLL_S)
        for _ in range(len(self._producer)):
            self._drop("the server has stopped")

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_S)

    def _delivered(
        self, message: Message, outcome: Outcome | None, error: KafkaError | None, record: Record
    ) -> None:
        """Write the outcome of a message that has been written."""
        if error is not None:
            self._drop(error.str())
            return
        _, results, dead_letters = self._topics
        topic = dead_letters if isinstance(outcome, Failure) else results
        if outcome is None or topic is None:
            return
        written = replace(
            message,
            topic=record.topic(),
            partition=record.partition(),
            offset=record.offset(),
            timestamp=record.timestamp()[1],
        )
        value = outcome.value if isinstance(outcome, Prediction) else message.value
        headed = replace(written, headers=tuple(encode_headers(written, outcome)))
        self._produce(topic, headed, value, self._outcome_delivered)

    def _outcome_delivered(self, error: KafkaError | None, _: Record) -> None:
        if error is not None:
            self._drop(error.str())

    def _produce(
        self,
        topic: str,
        message: Message,
        value: bytes | None,
        on_delivery: Callable[[KafkaError | None, Record], None],
    ) -> None:
        try:
            self._producer.produce(
                topic,
                key=message.key,
                value=value,
                headers=[*message.headers],
                on_delivery=on_delivery,
            )
        except BufferError:
            self._drop("the queue is full, because the broker does not keep up")
        except KafkaException as error:
            self._drop(error.args[0].str())

    def _drop(self, reason: str) -> None:
        """Count a record that is not written, and warn now and then."""
        self._on_drop()
        if time.monotonic() - self._warned > WARN_S:
            self._warned = time.monotonic()
            log.warning("the request log loses records", reason=reason, topics=self._topics)


def _outcome(message: Message, text: str, answer: Answer) -> Outcome | None:
    """Return what a stream would write for a message; None if it would try it again."""
    if answer.choice is None or not isinstance(answer.result, str | MessageError):
        return None
    spec, assignment = answer.choice
    try:
        fields = fields_or_none(decode_text(message.value)) or {}
        routed = RoutedMessage(Request(spec, text), copied_fields(fields, spec), assignment)
    except MessageError as error:  # a field to copy is nested too deeply
        return Failure(error, spec.id, assignment)
    return RecordCodec.write(
        routed, Output(answer.result, answer.span or (0.0, 0.0), answer.features)
    )
