"""Create confluent-kafka's clients, which wrap librdkafka."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from tidemill.kafka.client_options import MAX_UNCOMPRESSED_BYTES, librdkafka_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.settings import KafkaSettings

# Like kafka-python's, librdkafka's log messages appear at level DEBUG only.
_LOGGER = logging.getLogger("kafka.librdkafka")
_LOGGER.addHandler(logging.NullHandler())  # workers do not configure logging


def create_consumer(
    kafka: KafkaSettings, group_id: str, isolation_level: str, options: Mapping[str, Any]
) -> Consumer:
    """Create a consumer for assigned partitions, which reports where a partition ends.

    It neither joins its group nor commits to it, but librdkafka requires a group.
    """
    return Consumer(
        {
            **_options(kafka),
            "group.id": group_id,
            "isolation.level": isolation_level,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            **options,
        },
        logger=_LOGGER,
    )


def create_producer(kafka: KafkaSettings, options: Mapping[str, Any]) -> Producer:
    """Create a producer that compresses as the settings say, and accepts the largest records."""
    return Producer(
        {
            **_options(kafka),
            "compression.type": kafka.compression_type,
            "message.max.bytes": MAX_UNCOMPRESSED_BYTES,
            "queue.buffering.max.kbytes": 2 * MAX_UNCOMPRESSED_BYTES // 1024,
            **options,
        },
        logger=_LOGGER,
    )


def create_admin(kafka: KafkaSettings, options: Mapping[str, Any]) -> AdminClient:
    """Create an admin client."""
    return AdminClient({**_options(kafka), **options}, logger=_LOGGER)


def _options(kafka: KafkaSettings) -> dict[str, Any]:
    # librdkafka reports errors here that it recovers from; calls and messages have their own.
    return {**librdkafka_options(kafka), "error_cb": lambda _: None}
