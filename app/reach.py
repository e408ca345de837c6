"""Reach Kafka from Python; say by its name here why it cannot be reached."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kafka.errors import KafkaError

from app.errors import AccessRefused, BrokerUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.settings import KafkaSettings

# The answer to a wrong password and the end of the connection come together, and kafka-python may
# see the second only. A broker that is away would not have let it connect.
HUNG_UP = "socket disconnected"
REFUSED = re.compile(r"Authenti|Authoriz|CERTIFICATE|certificate")


@contextmanager
def reaching(kafka: KafkaSettings) -> Iterator[None]:
    """Turn what kafka-python raises within into an error that says what to do.

    Raises:
        AccessRefused: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.

    """
    with _reasons() as reasons:
        try:
            yield
        except (KafkaError, OSError) as error:
            # Of why it gave up at a connection kafka-python tells its log only.
            if refusals := list(filter(REFUSED.search, [repr(error), *reasons])):
                raise AccessRefused(kafka.bootstrap_servers, refusals[-1]) from error
            if kafka.sasl_mechanism and any(HUNG_UP in reason for reason in reasons):
                raise AccessRefused(kafka.bootstrap_servers, "it hangs up at the login") from error
            said = reasons[-1] if reasons else error
            raise BrokerUnreachable(kafka.bootstrap_servers, said) from error


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
