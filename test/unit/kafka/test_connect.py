from __future__ import annotations

import logging
import socket
import threading

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import GroupAuthorizationFailedError, KafkaError, KafkaTimeoutError
from pydantic import SecretStr

from tidemill.errors import BrokerUnreachable, ConfigurationError, KafkaAuthFailed, TokenUnavailable
from tidemill.kafka import connect as connecting
from tidemill.kafka.connect import connect
from tidemill.kafka.failures import kafka_errors
from tidemill.settings import KafkaSettings

KAFKA = KafkaSettings(bootstrap_servers="broker:1")
# Nothing listens there.
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class TestConnect:
    """A client that cannot be created leaves nothing behind."""

    @pytest.mark.parametrize("make", [KafkaAdminClient, KafkaConsumer])
    def test_no_broker(self, make: type, monkeypatch: pytest.MonkeyPatch) -> None:
        """An absent broker leaves no thread."""
        monkeypatch.setitem(connecting.TIMEOUTS, "bootstrap_timeout_ms", 1000)
        before = set(threading.enumerate())
        for _ in range(2):
            with pytest.raises(KafkaError):
                connect(make, NOWHERE)
        assert set(threading.enumerate()) <= before

    def test_one_of_several(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """If a bootstrap server is silent or absent, the client uses another."""
        monkeypatch.setattr(connecting, "_silent", set())
        asked: list[str] = []

        def make(*, bootstrap_servers: list[str], **options: object) -> str:
            asked.extend(bootstrap_servers)
            if bootstrap_servers != [servers[2]]:
                raise KafkaTimeoutError("Unable to bootstrap")
            return "made"

        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            socket.create_server(("127.0.0.1", 0)) as well,
        ):
            ports = [1, silent.getsockname()[1], well.getsockname()[1]]
            servers = [f"127.0.0.1:{port}" for port in ports]
            kafka = KafkaSettings(bootstrap_servers=",".join(servers))
            assert connect(make, kafka) == connect(make, kafka) == "made"
        assert asked == [*servers[1:], servers[2]]  # the silent one is not asked first again

    def test_none_of_several(self) -> None:
        """If no server listens, all are tried once, at the same time."""
        asked: list[list[str]] = []

        def make(*, bootstrap_servers: list[str], **options: object) -> None:
            asked.append(bootstrap_servers)
            raise KafkaTimeoutError("Unable to bootstrap")

        with pytest.raises(KafkaTimeoutError):
            connect(make, KafkaSettings(bootstrap_servers="127.0.0.1:1,127.0.0.1:2"))
        assert asked == [["127.0.0.1:1", "127.0.0.1:2"]]

    def test_no_token(self) -> None:
        """If the OAuth endpoint is absent, the error names it, not the broker."""
        kafka = KafkaSettings(
            bootstrap_servers="127.0.0.1:1",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="OAUTHBEARER",
            oauth_token_url="http://127.0.0.1:1/token",
            oauth_client_id="u",
            oauth_client_secret=SecretStr("canary"),
        )
        expected = "no OAuth token from http://127.0.0.1:1/token: .*Connection refused"
        with pytest.raises(TokenUnavailable, match=expected), kafka_errors(kafka):
            connect(KafkaAdminClient, kafka)


class TestReaching:
    """Errors of the client become errors that say what to do."""

    def test_not_allowed(self) -> None:
        """A missing permission is a configuration error, not an outage."""
        with (
            pytest.raises(KafkaAuthFailed, match=r"broker:1.*GroupAuthorizationFailed"),
            kafka_errors(KAFKA),
        ):
            raise GroupAuthorizationFailedError
        assert issubclass(KafkaAuthFailed, ConfigurationError)

    def test_away(self) -> None:
        """An unanswered call is an outage."""
        with (
            pytest.raises(BrokerUnreachable, match=r"(?s)broker:1.*bootstrap_servers"),
            kafka_errors(KAFKA),
        ):
            raise KafkaTimeoutError

    def test_reason(self) -> None:
        """The error quotes the reason that the client only logged."""

        def connect() -> None:
            logging.getLogger("kafka.conn").warning("connect failed: Connection refused")
            raise KafkaTimeoutError

        with pytest.raises(BrokerUnreachable, match="Connection refused"), kafka_errors(KAFKA):
            connect()

    @pytest.mark.parametrize(
        ("reason", "hint"),
        [
            ("InvalidReceiveError: Invalid frame length: 352518912", "port expects TLS"),
            (
                "KafkaConnectionError: Handshake failed: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF",
                "not seem to support TLS",
            ),
            (
                "KafkaConnectionError: Handshake failed: [SSL: WRONG_VERSION_NUMBER] wrong version",
                "not seem to support TLS",
            ),
        ],
    )
    def test_protocol(self, reason: str, hint: str) -> None:
        """If only one side uses TLS, the error says so, whatever the last attempt raised."""

        def connect() -> None:
            logging.getLogger("kafka.conn").warning("connect failed: %s", reason)
            logging.getLogger("kafka.conn").warning("connect failed: socket disconnected")
            raise KafkaTimeoutError("Unable to bootstrap")

        with pytest.raises(BrokerUnreachable, match=hint), kafka_errors(KAFKA):
            connect()

    def test_hung_up(self) -> None:
        """A port that closes the connection expects another protocol."""

        def connect() -> None:
            logging.getLogger("kafka.conn").warning("connect failed: socket disconnected")
            raise KafkaTimeoutError("Unable to bootstrap")

        with pytest.raises(BrokerUnreachable, match="require TLS or a login"), kafka_errors(KAFKA):
            connect()

    def test_other_errors(self) -> None:
        """Other errors pass unchanged."""
        with pytest.raises(ZeroDivisionError), kafka_errors(KAFKA):
            raise ZeroDivisionError
