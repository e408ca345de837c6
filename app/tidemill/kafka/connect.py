"""Reach Kafka with kafka-python; say by its name here why it cannot be reached."""

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
Answer = TypeVar("Answer")

PATIENCE = {"request_timeout_ms": 8_000, "bootstrap_timeout_ms": 8_000}
# Of a bootstrap server, if there are others to ask.
SHORTER = {"bootstrap_timeout_ms": 4_000}
# Bootstrap servers that let connect and then said nothing: asked last from then on.
_silent: set[str] = set()
# Of one broker, which the clients' own options do not name.
CONNECTING = {"socket_connection_setup_timeout_ms": 5_000}
# Of a group's coordinator, in seconds.
COORDINATOR_PATIENCE, COORDINATOR_PAUSE = 10.0, 0.2
# The answer to a wrong password and the end of the connection come together, and kafka-python may
# see the second only. A broker that is away would not have let it connect.
DISCONNECTED = "socket disconnected"
REFUSED = re.compile(r"Authenti|Authoriz|CERTIFICATE|certificate")

# What the client says where the settings and the port do not agree about TLS, and what to do.
PROTOCOL_HINTS = {
    # A TLS alert (RFC 8446, section 6), of which the first four bytes are taken for a length.
    r"Invalid frame length: 35251[89]\d{3}": (
        "the port speaks TLS: set kafka.security_protocol to SSL or SASL_SSL"
    ),
    r"Handshake failed: \[SSL: (UNEXPECTED_EOF|WRONG_VERSION|RECORD_LAYER)": (
        "the port seems not to speak TLS, which kafka.security_protocol asks for"
    ),
}


def connect(make: Callable[..., Client], kafka: KafkaSettings, **options: Any) -> Client:  # noqa: ANN401 - kafka-python's
    """Make a client (`KafkaAdminClient`, `KafkaConsumer`); leave nothing behind where that fails.

    One that does not find its broker would leave a thread and its sockets at each try, which an
    outage of a day makes thousands.

    Raises:
        KafkaError: No broker answers within 8 s, or 4 s for each but the last.
        requests.RequestException: The endpoint for tokens gives none.
        OSError: A certificate is not as it must be.

    """
    shared = python_options(kafka)
    if tokens := shared.get("sasl_oauth_token_provider"):
        tokens.token()  # kafka-python would ask at each connection, and tell nobody what failed
    servers = shared.pop("bootstrap_servers")
    # kafka-python waits for one server, chosen at random, until its time is up.
    answering = sorted(advertised.answering(servers), key=_silent.__contains__)
    for server in answering[:-1]:
        try:
            one = [server]
            return _made(make, **shared, **PATIENCE | SHORTER, **options, bootstrap_servers=one)
        except KafkaTimeoutError:
            _silent.add(server)
    last = answering[-1:] or servers
    return _made(make, **shared, **PATIENCE, **options, bootstrap_servers=last)


def _made(make: Callable[..., Client], **options: Any) -> Client:  # noqa: ANN401 - kafka-python's
    networks: list[KafkaNetClient] = []

    def network(**of_client: Any) -> KafkaNetClient:  # noqa: ANN401 - kafka-python's
        networks.append(KafkaNetClient(**of_client, **CONNECTING))
        return networks[-1]

    try:
        return make(**options, kafka_client=network)
    except BaseException:
        for opened in networks:
            opened.close()
        raise


def with_coordinator(call: Callable[[], Answer]) -> Answer:
    """Make a call to a group's coordinator; wait for it where Kafka has none yet.

    So it is for a moment in a cluster that has just started, or never had a group.

    Raises:
        KafkaError: There is none within 10 s, or the call failed otherwise.

    """
    deadline = time.monotonic() + COORDINATOR_PATIENCE
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
        time.sleep(COORDINATOR_PAUSE)


@contextmanager
def kafka_errors(kafka: KafkaSettings) -> Iterator[None]:
    """Turn what kafka-python raises within into an error that says what to do.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: It does not answer, or a broker advertises a wrong address, or there is
            no token to log in with.

    """
    with _reasons() as reasons:
        try:
            yield
        except requests.RequestException as error:
            raise TokenUnavailable(kafka.oauth_token_url, describe(root(error))) from error
        except (KafkaError, OSError) as error:
            # Of why it gave up at a connection kafka-python tells its log only.
            if refusals := list(filter(REFUSED.search, [repr(error), *reasons])):
                raise KafkaAuthFailed(kafka.bootstrap_servers, refusals[-1]) from error
            if kafka.sasl_mechanism and any(DISCONNECTED in reason for reason in reasons):
                raise KafkaAuthFailed(
                    kafka.bootstrap_servers, "it hangs up at the login"
                ) from error
            said = reasons[-1] if reasons else error
            if "Unable to bootstrap" in str(error):
                hinted = _hint(reasons) or said
                raise BrokerUnreachable(kafka.bootstrap_servers, hinted) from error
            raise unreachable(kafka, said) from error


def _hint(reasons: list[str]) -> str | None:
    said = "\n".join(reasons)
    for sign, hint in PROTOCOL_HINTS.items():
        if re.search(sign, said):
            return hint
    if reasons and DISCONNECTED in reasons[-1]:
        return "it hangs up, as if the port wanted TLS or a login (kafka.security_protocol)"
    return None


def unreachable(kafka: KafkaSettings, cause: object) -> BrokerUnreachable:
    """Return the error of a call that Kafka did not answer; a wrong advertised address is named."""
    return survey(kafka) or BrokerUnreachable(kafka.bootstrap_servers, cause)


def survey(kafka: KafkaSettings) -> AdvertisedUnreachable | None:
    """Return an error that names the brokers whose advertised address cannot be reached, if any.

    None also if no bootstrap server answers.
    """
    try:
        astray = advertised.unreachable(kafka)
    except (KafkaError, OSError):
        return None
    return AdvertisedUnreachable(kafka.bootstrap_servers, astray) if astray else None


@contextmanager
def _reasons() -> Iterator[list[str]]:
    """Collect what kafka-python logs as its reasons."""
    reasons: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _, found, reason = record.getMessage().partition("failed: ")
            # Its last word is always that it gave up.
            if found and not reason.startswith("KafkaTimeoutError: Unable to bootstrap"):
                reasons.append(re.sub(r" \(backoff .+\)$", "", reason))

    handler = Collect(logging.WARNING)
    logger = logging.getLogger("kafka")
    logger.addHandler(handler)
    try:
        yield reasons
    finally:
        logger.removeHandler(handler)
