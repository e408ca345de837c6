"""Connect to Kafka with kafka-python, and translate its errors into Tidemill's."""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaError,
    KafkaTimeoutError,
    NotCoordinatorError,
)
from kafka.net.compat import KafkaNetClient

from tidemill.errors import (
    AdvertisedUnreachable,
    BrokerUnreachable,
    KafkaAuthFailed,
    TokenUnavailable,
    describe,
    root,
)
from tidemill.kafka import advertised
from tidemill.kafka.client_options import python_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
# A broker that refuses a password answers and closes the connection at once, and kafka-python may
# notice only the latter. An absent broker would not have accepted the connection.
DISCONNECTED = "socket disconnected"
REFUSED = re.compile(r"Authenti|Authoriz|CERTIFICATE|certificate")

# kafka-python's words if the settings and the port disagree about TLS, and the explanation.
PROTOCOL_MISMATCHES = {
    # The first four bytes of a TLS alert (RFC 8446, section 6), read as a length.
    r"Invalid frame length: 35251[89]\d{3}": (
        "the port expects TLS: set kafka.security_protocol to SSL or SASL_SSL"
    ),
    r"Handshake failed: \[SSL: (UNEXPECTED_EOF|WRONG_VERSION|RECORD_LAYER)": (
        "the port does not seem to support TLS, which kafka.security_protocol requires"
    ),
}


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


@contextmanager
def kafka_errors(kafka: KafkaSettings) -> Iterator[None]:
    """Translate kafka-python's exceptions into errors that say what to do.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer, a broker advertises a wrong address, or there
            is no OAuth token.

    """
    with _reasons() as reasons:
        try:
            yield
        except requests.RequestException as error:
            raise TokenUnavailable(kafka.oauth_token_url, describe(root(error))) from error
        except (KafkaError, OSError) as error:
            # kafka-python only logs the reasons of failed connections.
            if refusals := list(filter(REFUSED.search, [repr(error), *reasons])):
                raise KafkaAuthFailed(kafka.bootstrap_servers, refusals[-1]) from error
            if kafka.sasl_mechanism and any(DISCONNECTED in reason for reason in reasons):
                raise KafkaAuthFailed(
                    kafka.bootstrap_servers, "it closes the connection at the login"
                ) from error
            cause = reasons[-1] if reasons else error
            if "Unable to bootstrap" in str(error):
                explained = _explain(reasons) or cause
                raise BrokerUnreachable(kafka.bootstrap_servers, explained) from error
            raise unreachable(kafka, cause) from error


def _explain(reasons: list[str]) -> str | None:
    text = "\n".join(reasons)
    for pattern, explanation in PROTOCOL_MISMATCHES.items():
        if re.search(pattern, text):
            return explanation
    if reasons and DISCONNECTED in reasons[-1]:
        return "it closes the connection: it may require TLS or a login (kafka.security_protocol)"
    return None


def unreachable(kafka: KafkaSettings, cause: object) -> BrokerUnreachable:
    """Return the error for an unanswered call; name a wrong advertised address if there is one."""
    return survey(kafka) or BrokerUnreachable(kafka.bootstrap_servers, cause)


def survey(kafka: KafkaSettings) -> AdvertisedUnreachable | None:
    """Return an error that names the brokers whose advertised address cannot be reached.

    Return None if there is no such broker, or if no bootstrap server answers.
    """
    try:
        brokers = advertised.unreachable(kafka)
    except (KafkaError, OSError):
        return None
    return AdvertisedUnreachable(kafka.bootstrap_servers, brokers) if brokers else None


@contextmanager
def _reasons() -> Iterator[list[str]]:
    """Collect the reasons of failures from kafka-python's log."""
    reasons: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _, failed, reason = record.getMessage().partition("failed: ")
            # Its last message only says that it gave up.
            if failed and not reason.startswith("KafkaTimeoutError: Unable to bootstrap"):
                reasons.append(re.sub(r" \(backoff .+\)$", "", reason))

    handler = Collect(logging.WARNING)
    logger = logging.getLogger("kafka")
    logger.addHandler(handler)
    try:
        yield reasons
    finally:
        logger.removeHandler(handler)
