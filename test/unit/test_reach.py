from __future__ import annotations

import logging

import pytest
from kafka.errors import GroupAuthorizationFailedError, KafkaTimeoutError

from app.errors import AccessRefused, BrokerUnreachable, ConfigurationError
from app.reach import reaching
from app.settings import KafkaSettings

KAFKA = KafkaSettings(bootstrap_servers="broker:1")


class TestReaching:
    """What keeps us from Kafka has a name here, and says what to do."""

    def test_not_allowed(self) -> None:
        """A right that is missing is a wrong configuration, not an outage."""
        with (
            pytest.raises(AccessRefused, match=r"broker:1.*GroupAuthorizationFailed"),
            reaching(KAFKA),
        ):
            raise GroupAuthorizationFailedError
        assert issubclass(AccessRefused, ConfigurationError)

    def test_away(self) -> None:
        """Silence is an outage."""
        with (
            pytest.raises(BrokerUnreachable, match=r"broker:1.*bootstrap_servers"),
            reaching(KAFKA),
        ):
            raise KafkaTimeoutError

    def test_reason(self) -> None:
        """The reason that the client told its log only is told."""

        def connect() -> None:
            logging.getLogger("kafka.conn").warning("connect failed: Connection refused")
            raise KafkaTimeoutError

        with pytest.raises(BrokerUnreachable, match="Connection refused"), reaching(KAFKA):
            connect()

    def test_other_errors(self) -> None:
        """What is not about the connection passes."""
        with pytest.raises(ZeroDivisionError), reaching(KAFKA):
            raise ZeroDivisionError
