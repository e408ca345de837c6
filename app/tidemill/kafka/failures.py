"""Translate kafka-python's errors into Tidemill's, which say what to do."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
from kafka.errors import KafkaError

from tidemill.errors import (
    AdvertisedUnreachable,
    BrokerUnreachable,
    KafkaAuthFailed,
    TokenUnavailable,
    describe,
    root,
)
from tidemill.kafka import advertised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.settings import KafkaSettings

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
