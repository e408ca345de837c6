from __future__ import annotations

import logging
import threading

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import GroupAuthorizationFailedError, KafkaError, KafkaTimeoutError
from pydantic import SecretStr

from app import reach
from app.errors import AccessRefused, BrokerUnreachable, ConfigurationError, TokenUnavailable
from app.reach import connect, reaching
from app.settings import KafkaSettings

KAFKA = KafkaSettings(bootstrap_servers="broker:1")
# Nobody listens there.
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class TestConnect:
    """A client of any kind is made, or nothing is left of it."""

    @pytest.mark.parametrize("make", [KafkaAdminClient, KafkaConsumer])
    def test_no_broker(self, make: type, monkeypatch: pytest.MonkeyPatch) -> None:
        """A broker that is away costs no thread."""
        monkeypatch.setitem(reach.PATIENCE, "bootstrap_timeout_ms", 100)
        before = threading.active_count()
        for _ in range(2):
            with pytest.raises(KafkaError):
                connect(make, NOWHERE)
        assert threading.active_count() == before

    def test_no_token(self) -> None:
        """An OAuth endpoint that is away is named, rather than the broker that was not asked."""
        kafka = KafkaSettings(
            bootstrap_servers="127.0.0.1:1",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="OAUTHBEARER",
            oauth_token_url="http://127.0.0.1:1/token",
            oauth_client_id="u",
            oauth_client_secret=SecretStr("canary"),
        )
        expected = "no OAuth token from http://127.0.0.1:1/token: .*Connection refused"
        with pytest.raises(TokenUnavailable, match=expected), reaching(kafka):
            connect(KafkaAdminClient, kafka)


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
