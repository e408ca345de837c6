"""Connect to Kafka with kafka-python."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaTimeoutError,
    NotCoordinatorError,
)
from kafka.net.compat import KafkaNetClient

from tidemill.kafka import advertised
from tidemill.kafka.client_options import python_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.settings import KafkaSettings

Client = TypeVar("Client")
Result = TypeVar("Result")

TIMEOUTS = {"request_timeout_ms": 8_000, "bootstrap_timeout_ms": 8_000}
# For a bootstrap server if others are left.
SHORT_TIMEOUT = {"bootstrap_timeout_ms": 4_000}
# Bootstrap servers that accepted a connection but did not answer; they are tried last.
_silent: set[str] = set()
# For a single connection; kafka-python's clients have no option for it.
CONNECTION_OPTIONS = {"socket_connection_setup_timeout_ms": 5_000}
COORDINATOR_TIMEOUT_S, COORDINATOR_PAUSE_S = 10.0, 0.2


def connect(make: Callable[..., Client], kafka: KafkaSettings, **options: Any) -> Client:  # noqa: ANN401 - kafka-python's
    """Create a client (`KafkaAdminClient`, `KafkaConsumer`), and clean up if that fails.

    A client that does not find its broker would leave a thread and its sockets behind; in an outage
    of a day, thousands of them.

    Raises:
        KafkaError: No broker answers within 8 s, or 4 s for each but the last.
        requests.RequestException: The OAuth endpoint gives no token.
        OSError: A certificate is unreadable or invalid.

    """
    shared = python_options(kafka)
    if tokens := shared.get("sasl_oauth_token_provider"):
        tokens.token()  # fail here: kafka-python would hide the error
    servers = shared.pop("bootstrap_servers")
    # kafka-python would pick a server at random and wait for it until the timeout.
    answering = sorted(advertised.answering(servers), key=_silent.__contains__)
    for server in answering[:-1]:
        try:
            return _create(
                make, **shared, **TIMEOUTS | SHORT_TIMEOUT, **options, bootstrap_servers=[server]
            )
        except KafkaTimeoutError:
            _silent.add(server)
    last = answering[-1:] or servers
    return _create(make, **shared, **TIMEOUTS, **options, bootstrap_servers=last)


def _create(make: Callable[..., Client], **options: Any) -> Client:  # noqa: ANN401 - kafka-python's
    networks: list[KafkaNetClient] = []

    def network(**of_client: Any) -> KafkaNetClient:  # noqa: ANN401 - kafka-python's
        networks.append(KafkaNetClient(**of_client, **CONNECTION_OPTIONS))
        return networks[-1]

    try:
        return make(**options, kafka_client=network)
    except BaseException:
        for opened in networks:
            opened.close()
        raise


def with_coordinator(call: Callable[[], Result]) -> Result:
    """Call a group's coordinator, and retry while Kafka has none yet.

    A cluster that has just started, or never had a group, has none for a moment.

    Raises:
        KafkaError: No coordinator appeared within 10 s, or the call failed otherwise.

    """
    deadline = time.monotonic() + COORDINATOR_TIMEOUT_S
    while True:
        try:
            return call()
        except (
            CoordinatorNotAvailableError,
            CoordinatorLoadInProgressError,
            NotCoordinatorError,
        ):
            if time.monotonic() > deadline:
                raise
        time.sleep(COORDINATOR_PAUSE_S)
