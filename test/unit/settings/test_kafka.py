from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.errors import InvalidSettings
from tidemill.kafka.client_options import java_options, librdkafka_options, python_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.settings import Settings

    Load = Callable[..., Settings]


class TestSecurity:
    """The settings that a protocol needs must be set, and none that contradicts it."""

    @pytest.mark.parametrize(
        ("kafka", "needed"),
        [
            ({"security_protocol": "SASL_SSL"}, "sasl_mechanism"),
            ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "sasl_username"),
            (
                {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512",
                 "sasl_username": "u"},
                "sasl_password",
            ),
            ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "oauth_token_url"),
        ],
    )  # fmt: skip
    def test_needed(self, load: Load, kafka: dict[str, str], needed: str) -> None:
        """The error names the missing settings."""
        with pytest.raises(InvalidSettings, match=f"needs .*{needed}"):
            load(kafka=kafka)

    @pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
    def test_contradiction(self, load: Load, protocol: str) -> None:
        """A mechanism that the protocol would ignore is refused."""
        with pytest.raises(InvalidSettings, match=f"security_protocol is {protocol}"):
            load(kafka={"security_protocol": protocol, "sasl_mechanism": "PLAIN"})


class TestBootstrapServers:
    """Java, kafka-python and librdkafka read the addresses alike."""

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("k:1", "k:1"),
            (" kafka-1.example.com:9092 , b_2:65535,127.0.0.1:1 ",
             "kafka-1.example.com:9092,b_2:65535,127.0.0.1:1"),
            ("[::1]:9092,[fe80::1%eth0]:9092", "[::1]:9092,[fe80::1%eth0]:9092"),
            ("a:1,b:1,a:1", "a:1,b:1"),
        ],
    )  # fmt: skip
    def test_accepted(self, load: Load, written: str, meant: str) -> None:
        """Blanks and duplicates are removed; host names and IP addresses are kept."""
        kafka = load(kafka={"bootstrap_servers": written}).kafka
        assert kafka.bootstrap_servers == meant
        assert python_options(kafka)["bootstrap_servers"] == meant.split(",")
        assert java_options(kafka)["bootstrap.servers"] == meant
        assert librdkafka_options(kafka)["bootstrap.servers"] == meant

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("", "entry 1 is empty"),
            ("a:1,", "entry 2 is empty"),
            ("a:1,,b:1", "entry 2 is empty"),
            ("a:1,b", "entry 2 'b' has no port"),
            ("127.0.0.1", "'127.0.0.1' has no port"),
            ("a:", "has no port from 1 to 65535"),
            ("a:0", "has no port from 1 to 65535"),
            ("a:65536", "has no port from 1 to 65535"),
            ("a:٣", "has no port from 1 to 65535"),
            ("a:1/x", "has no port from 1 to 65535"),
            (":9092", "has no host"),
            ("http://a:1", "begins with http://"),
            ("PLAINTEXT://a:1", "begins with PLAINTEXT:// .*security_protocol"),
            ("[::1]", "has no port"),
            ("::1:9092", "several colons"),
            ("a:1;b:1", "several colons"),
            ("[a]:1", "no valid IPv6 address in its brackets"),
            ("a b:1", "character that is not allowed"),
            ("bücher:1", "character that is not allowed"),
        ],
    )
    def test_refused(self, load: Load, written: str, said: str) -> None:
        """The error names the invalid entry, its problem and the expected form."""
        with pytest.raises(
            InvalidSettings, match=f"kafka.bootstrap_servers: .*{said}.*write host:port"
        ):
            load(kafka={"bootstrap_servers": written})

    def test_password(self, load: Load) -> None:
        """The error does not repeat a password in an address."""
        with pytest.raises(InvalidSettings, match="entry 1 contains a user or password") as refused:
            load(kafka={"bootstrap_servers": "SASL_SSL://user:canary@a:1"})
        assert "canary" not in str(refused.value)
