from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.kafka.client_options import java_options, librdkafka_options, python_options
from tidemill.kafka.oauth import ClientCredentialsTokens
from tidemill.settings import KafkaSettings

if TYPE_CHECKING:
    from pathlib import Path

SECURITY = "org.apache.kafka.common.security"


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """Return an existing file; only the clients read its content."""
    path = tmp_path / "some.pem"
    path.touch()
    return path


def sasl(mechanism: str, **rest: Any) -> KafkaSettings:  # noqa: ANN401 - settings of many types
    """Return settings for SASL over TLS."""
    return KafkaSettings(
        bootstrap_servers="k:1", security_protocol="SASL_SSL", sasl_mechanism=mechanism, **rest
    )


def oauth(**rest: Any) -> KafkaSettings:  # noqa: ANN401 - settings of many types
    """Return settings for OAuth."""
    known = {"oauth_token_url": "https://id/token", "oauth_client_id": "me"}
    return sasl("OAUTHBEARER", **known, oauth_client_secret="s3cret", **rest)


class TestPlaintext:
    """Without security, a client gets only the address."""

    KAFKA = KafkaSettings(bootstrap_servers="a:1, b:2")

    def test_java(self) -> None:
        """Java splits the list itself."""
        assert java_options(self.KAFKA) == {
            "bootstrap.servers": "a:1,b:2",
            "security.protocol": "PLAINTEXT",
        }

    def test_python(self) -> None:
        """kafka-python needs a list."""
        assert python_options(self.KAFKA) == {
            "bootstrap_servers": ["a:1", "b:2"],
            "security_protocol": "PLAINTEXT",
        }

    def test_librdkafka(self) -> None:
        """Librdkafka splits the list itself."""
        assert librdkafka_options(self.KAFKA) == {
            "bootstrap.servers": "a:1,b:2",
            "security.protocol": "PLAINTEXT",
        }


class TestTls:
    """All clients read PEM files."""

    def test_java(self, pem: Path) -> None:
        """One file holds the key and the certificates."""
        kafka = KafkaSettings(
            security_protocol="SSL",
            ssl_ca_file=pem,
            ssl_keystore_file=pem,
            ssl_key_password="k3y",
        )
        assert java_options(kafka) == {
            "bootstrap.servers": "localhost:9092",
            "security.protocol": "SSL",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(pem),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(pem),
            "ssl.key.password": "k3y",
        }

    def test_python(self, pem: Path) -> None:
        """kafka-python reads the same file."""
        kafka = KafkaSettings(
            security_protocol="SSL",
            ssl_ca_file=pem,
            ssl_keystore_file=pem,
            ssl_key_password="k3y",
        )
        assert python_options(kafka) == {
            "bootstrap_servers": ["localhost:9092"],
            "security_protocol": "SSL",
            "ssl_cafile": str(pem),
            "ssl_certfile": str(pem),
            "ssl_keyfile": str(pem),
            "ssl_password": "k3y",
        }

    def test_librdkafka(self, pem: Path) -> None:
        """Librdkafka reads the same file."""
        kafka = KafkaSettings(
            security_protocol="SSL",
            ssl_ca_file=pem,
            ssl_keystore_file=pem,
            ssl_key_password="k3y",
        )
        assert librdkafka_options(kafka) == {
            "bootstrap.servers": "localhost:9092",
            "security.protocol": "SSL",
            "ssl.ca.location": str(pem),
            "ssl.certificate.location": str(pem),
            "ssl.key.location": str(pem),
            "ssl.key.password": "k3y",
        }

    def test_system_authorities(self) -> None:
        """Without files, clients trust the system's authorities and have no certificate."""
        kafka = KafkaSettings(security_protocol="SSL")
        assert set(java_options(kafka)) == {"bootstrap.servers", "security.protocol"}
        assert set(python_options(kafka)) == {"bootstrap_servers", "security_protocol"}
        assert set(librdkafka_options(kafka)) == {"bootstrap.servers", "security.protocol"}


class TestPasswords:
    """Each mechanism gets the user name and password."""

    @pytest.mark.parametrize(
        ("mechanism", "module"),
        [
            ("PLAIN", f"{SECURITY}.plain.PlainLoginModule"),
            ("SCRAM-SHA-256", f"{SECURITY}.scram.ScramLoginModule"),
            ("SCRAM-SHA-512", f"{SECURITY}.scram.ScramLoginModule"),
        ],
    )
    def test_java(self, mechanism: str, module: str) -> None:
        """Java's client reads a JAAS line."""
        options = java_options(sasl(mechanism, sasl_username="me", sasl_password="pw"))
        assert options["sasl.mechanism"] == mechanism
        assert options["sasl.jaas.config"] == f'{module} required username="me" password="pw";'

    def test_python(self) -> None:
        """kafka-python has an option for each."""
        options = python_options(sasl("SCRAM-SHA-512", sasl_username="me", sasl_password="pw"))
        assert options == {
            "bootstrap_servers": ["k:1"],
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": "me",
            "sasl_plain_password": "pw",
        }

    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    def test_librdkafka(self, mechanism: str) -> None:
        """Librdkafka has an option for each."""
        assert librdkafka_options(sasl(mechanism, sasl_username="me", sasl_password="pw")) == {
            "bootstrap.servers": "k:1",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.username": "me",
            "sasl.password": "pw",
        }


class TestOAuth:
    """Each client fetches its own tokens with client credentials."""

    def test_java(self) -> None:
        """Java's client gets the endpoint, the credentials and a callback handler."""
        options = java_options(oauth(oauth_scope="kafka"))
        assert options["sasl.mechanism"] == "OAUTHBEARER"
        assert options["sasl.oauthbearer.token.endpoint.url"] == "https://id/token"
        assert options["sasl.login.callback.handler.class"].startswith(f"{SECURITY}.oauthbearer.")
        assert options["sasl.jaas.config"] == (
            f"{SECURITY}.oauthbearer.OAuthBearerLoginModule required "
            'clientId="me" clientSecret="s3cret" scope="kafka";'
        )

    def test_no_scope(self) -> None:
        """Without a scope, none is sent."""
        assert "scope" not in java_options(oauth())["sasl.jaas.config"]

    def test_python(self) -> None:
        """kafka-python gets a token provider, but no user name or password."""
        options = python_options(oauth())
        assert isinstance(options.pop("sasl_oauth_token_provider"), ClientCredentialsTokens)
        assert options == {
            "bootstrap_servers": ["k:1"],
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "OAUTHBEARER",
        }

    def test_librdkafka(self) -> None:
        """Librdkafka gets a callback that fetches tokens, but no credentials."""
        options = librdkafka_options(oauth())
        assert callable(options.pop("oauth_cb"))
        assert options == {
            "bootstrap.servers": "k:1",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
        }


def read_jaas(line: str) -> dict[str, str]:
    """Parse a JAAS line like `java.io.StreamTokenizer`, whose strings have escapes."""
    _, _, rest = line.partition(" required ")
    options: dict[str, str] = {}
    index = 0
    while rest[index] != ";":
        name, _, _ = rest[index:].partition("=")
        index += len(name) + 1
        assert rest[index] == '"'
        index, value = index + 1, ""
        while rest[index] != '"':
            assert rest[index] not in "\r\n", "a string ends with its line"
            if rest[index] == "\\":
                index += 1
                assert not rest[index].isdigit(), "an octal escape"
                value += {"n": "\n", "r": "\r", "t": "\t"}.get(rest[index], rest[index])
            else:
                value += rest[index]
            index += 1
        options[name.strip()] = value
        index += 1
    return options


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)
QUOTED = st.text("\"\\'; =nrt0a", min_size=1)


class TestDatabricks:
    """Databricks shades Kafka's Java client, which renames its classes."""

    @pytest.mark.parametrize(
        "kafka", [sasl("SCRAM-SHA-512", sasl_username="me", sasl_password="pw"), oauth()]
    )
    def test_classes(self, kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        """All class names are changed, and nothing else."""
        elsewhere = java_options(kafka)
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "19.0")
        assert java_options(kafka) == {
            name: value.replace("org.apache.", "kafkashaded.org.apache.")
            for name, value in elsewhere.items()
        }

    def test_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other clients' options do not change."""
        kafka = sasl("PLAIN", sasl_username="me", sasl_password="pw")
        elsewhere = python_options(kafka), librdkafka_options(kafka)
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "19.0")
        assert (python_options(kafka), librdkafka_options(kafka)) == elsewhere


class TestJaasQuoting:
    """Java reads any password unchanged."""

    @given(QUOTED | PRINTABLE, QUOTED | PRINTABLE)
    @example("u", '"; evil required x="')
    @example("u", "ends with a backslash\\")
    @example("\\n", "\\101")
    def test_any(self, username: str, password: str) -> None:
        """Quotes and backslashes cannot end the string or change a character."""
        kafka = sasl("PLAIN", sasl_username=username, sasl_password=password)
        line = java_options(kafka)["sasl.jaas.config"]
        assert read_jaas(line) == {"username": username, "password": password}

    @pytest.mark.parametrize("password", ["two\nlines", "a\rb"])
    def test_line_breaks(self, password: str) -> None:
        """A line break within a password does not end the string."""
        kafka = sasl("PLAIN", sasl_username="u", sasl_password=password)
        assert read_jaas(java_options(kafka)["sasl.jaas.config"])["password"] == password
