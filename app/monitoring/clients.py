"""Clients of kafka-python for what runs long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError
from kafka.net.compat import KafkaNetClient

from app.connection import python_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.settings import KafkaSettings

Client = TypeVar("Client")
Answer = TypeVar("Answer")

PATIENCE = {"request_timeout_ms": 10_000, "bootstrap_timeout_ms": 10_000}
# Of a group's coordinator, in seconds.
COORDINATOR_PATIENCE, COORDINATOR_PAUSE = 10.0, 0.2


def connect(make: Callable[..., Client], kafka: KafkaSettings, **options: Any) -> Client:  # noqa: ANN401 - kafka-python's
    """Make a client (`KafkaAdminClient`, `KafkaConsumer`); leave nothing behind where that fails.

    One that does not find its broker would leave a thread and its sockets at each try, which an
    outage of a day makes thousands.

    Raises:
        KafkaError: No broker answers within 10 s.
        OSError: A certificate or the endpoint for tokens is not as it must be.

    """
    networks: list[KafkaNetClient] = []

    def network(**of_client: Any) -> KafkaNetClient:  # noqa: ANN401 - kafka-python's
        networks.append(KafkaNetClient(**of_client))
        return networks[-1]

    try:
        return make(**python_options(kafka), **PATIENCE, **options, kafka_client=network)
    except BaseException:
        for opened in networks:
            opened.close()
        raise


def coordinated(call: Callable[[], Answer]) -> Answer:
    """Make a call to a group's coordinator; wait for it where Kafka has none yet.

    So it is for a moment in a cluster that has just started, or never had a group.

    Raises:
        KafkaError: There is none within 10 s, or the call failed otherwise.

    """
    deadline = time.monotonic() + COORDINATOR_PATIENCE
    while True:
        try:
            return call()
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError):
            if time.monotonic() > deadline:
                raise
        time.sleep(COORDINATOR_PAUSE)
