"""Send many records in one Kafka transaction, once (KIP-98)."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined] # it is public

from tidemill.errors import NotSent, SendingTooLong
from tidemill.kafka.clients import create_admin, create_consumer, create_producer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from confluent_kafka import Consumer, Producer

    from tidemill.inference.message import Header
    from tidemill.settings import KafkaSettings

CALL_TIMEOUT_S = 60.0
TIMEOUT_SETTING = "transaction.max.timeout.ms"
DEFAULT_TIMEOUT_MS = 900_000  # Kafka's
# Errors that occur for a short time when brokers start or stop.
PASSING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


class Sending(NamedTuple):
    """One record to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


def send_once(
    kafka: KafkaSettings,
    name: str,
    topic: str,
    records: Iterable[Sending],
    *,
    batch_bytes: int,
    on_sent: Callable[[int], None] = lambda _: None,
) -> None:
    """Send records and a marker in one transaction, unless the marker is there already.

    `name` is the transactional id, and the group that gets the marker, an offset of `topic`. First
    end what an earlier process of this name has begun, so that it cannot be committed any more.

    Raises:
        NotSent: The broker does not answer or refuses. Whether the records were sent is then known
            to a later call.
        SendingTooLong: The broker has ended the transaction.

    """
    allowed = _longest_transaction(kafka)
    options = {
        "transactional.id": name,
        "transaction.timeout.ms": allowed,
        "partitioner": "murmur2_random",  # Java's default: a key stays in its partition
        "batch.size": batch_bytes,
        "retry.backoff.ms": 10,
    }
    began = time.monotonic()
    refusals: list[str] = []
    with closing(create_consumer(kafka, name, "read_committed", {})) as group:
        try:
            producer = create_producer(kafka, options)
            producer.init_transactions(CALL_TIMEOUT_S)
            if _is_marked(group, topic):
                return
            began = time.monotonic()
            producer.begin_transaction()
            count = _send_all(producer, records, refusals, on_sent)
            marker = TopicPartition(topic, 0, count)
            metadata = group.consumer_group_metadata()
            _persist(partial(producer.send_offsets_to_transaction, [marker], metadata))
            _persist(producer.commit_transaction)
        except KafkaException as error:
            if time.monotonic() - began >= allowed / 1000:
                raise SendingTooLong(topic, allowed // 1000, TIMEOUT_SETTING) from error
            raise NotSent(topic, refusals[0] if refusals else error.args[0].str()) from error


def _send_all(
    producer: Producer,
    records: Iterable[Sending],
    refusals: list[str],
    on_sent: Callable[[int], None],
) -> int:
    def delivered(error: KafkaError | None, _: object) -> None:
        if error is not None:
            refusals.append(error.str())

    count = 0
    for count, record in enumerate(records, 1):
        arguments: dict[str, Any] = {"key": record.key, "value": record.value}
        while True:
            try:
                producer.produce(
                    record.topic, headers=[*record.headers], on_delivery=delivered, **arguments
                )
                producer.poll(0)
                break
            except BufferError:
                producer.poll(0.1)
        if refusals:
            break
        on_sent(count)
    while len(producer) and not refusals:
        producer.flush(1)
    if refusals:
        raise KafkaException(KafkaError(KafkaError._FAIL))  # noqa: SLF001 - its public name
    return count


def _persist(call: Callable[[float], None]) -> None:
    """Make a transactional call, and again while its error says so."""
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while True:
        try:
            return call(CALL_TIMEOUT_S)
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _is_marked(group: Consumer, topic: str) -> bool:
    """Tell whether the marker is committed; wait for an open transaction to end."""
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while True:
        try:
            (answer,) = group.committed([TopicPartition(topic, 0)], CALL_TIMEOUT_S)
            error = answer.error
        except KafkaException as raised:
            error = raised.args[0]
        if error is None:
            return int(answer.offset) >= 0
        if error.code() not in PASSING or time.monotonic() > deadline:
            raise KafkaException(error)
        time.sleep(0.1)


def _longest_transaction(kafka: KafkaSettings) -> int:
    """Return how many milliseconds a transaction may last; Kafka's default if that is a secret."""
    admin = create_admin(kafka, {})
    try:
        broker = next(iter(admin.list_topics(timeout=CALL_TIMEOUT_S).brokers))
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        (future,) = admin.describe_configs([resource], request_timeout=CALL_TIMEOUT_S).values()
        return int(future.result()[TIMEOUT_SETTING].value)
    except (KafkaException, StopIteration, KeyError, TypeError, ValueError):
        return DEFAULT_TIMEOUT_MS
