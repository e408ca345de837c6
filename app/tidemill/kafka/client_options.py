"""One section of settings for three clients: Java's (Spark), kafka-python's and librdkafka's."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import requests
from kafka.net.sasl.oauth import AbstractTokenProvider
from requests.auth import HTTPBasicAuth

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from tidemill.settings import KafkaSettings

# Of the endpoint for tokens.
TOKEN_PATIENCE_S = 5.0
_JAVA_LOGIN = "org.apache.kafka.common.security"
_LOGIN_MODULES = {
    "PLAIN": f"{_JAVA_LOGIN}.plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_JAVA_LOGIN}.scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_JAVA_LOGIN}.scram.ScramLoginModule",
    "OAUTHBEARER": f"{_JAVA_LOGIN}.oauthbearer.OAuthBearerLoginModule",
}

# librdkafka's words reach an operator at the level DEBUG only, as kafka-python's.
LIBRDKAFKA_LOGGER = logging.getLogger("kafka.librdkafka")
LIBRDKAFKA_LOGGER.addHandler(logging.NullHandler())  # in a worker nobody sets up logging
# Java reads the line with a StreamTokenizer, whose strings know these escapes and end with a line.
_JAAS_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


def java_options(kafka: KafkaSettings) -> dict[str, str]:
    """Return the connection as Java's client names it; PEM files for keys and certificates."""
    options: dict[str, str | None] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
    }
    if kafka.ssl_ca_file:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(kafka.ssl_ca_file)}
    if kafka.ssl_keystore_file:
        options |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(kafka.ssl_keystore_file),
            "ssl.key.password": _reveal(kafka.ssl_key_password),
        }
    if kafka.sasl_mechanism:
        options |= {"sasl.mechanism": kafka.sasl_mechanism, "sasl.jaas.config": _jaas(kafka)}
    if kafka.sasl_mechanism == "OAUTHBEARER":
        options |= {
            "sasl.oauthbearer.token.endpoint.url": kafka.oauth_token_url,
            "sasl.login.callback.handler.class": _java_class(
                f"{_JAVA_LOGIN}.oauthbearer.OAuthBearerLoginCallbackHandler"
            ),
        }
    return {name: value for name, value in options.items() if value}


def python_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the connection as keyword arguments of kafka-python's clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "security_protocol": kafka.security_protocol,
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": _reveal(kafka.sasl_password),
        "ssl_cafile": _path(kafka.ssl_ca_file),
        "ssl_certfile": _path(kafka.ssl_keystore_file),
        "ssl_keyfile": _path(kafka.ssl_keystore_file),
        "ssl_password": _reveal(kafka.ssl_key_password),
    }
    if kafka.sasl_mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = ClientCredentials(kafka)
    return {name: value for name, value in options.items() if value}


def librdkafka_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the connection as librdkafka names it, for confluent-kafka's clients.

    With OAuth the client asks for tokens when it is polled or flushed.
    """
    options: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": _reveal(kafka.sasl_password),
        "ssl.ca.location": _path(kafka.ssl_ca_file),
        "ssl.certificate.location": _path(kafka.ssl_keystore_file),
        "ssl.key.location": _path(kafka.ssl_keystore_file),
        "ssl.key.password": _reveal(kafka.ssl_key_password),
    }
    if kafka.sasl_mechanism == "OAUTHBEARER":
        credentials = ClientCredentials(kafka)
        # librdkafka keeps the token itself, and asks again at 80% of its life.
        options["oauth_cb"] = lambda _: credentials.fetch(time.time())
    return {name: value for name, value in options.items() if value}


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc] # kafka-python has no types
    """Fetch OAuth 2.0 access tokens by the client-credentials grant (RFC 6749, section 4.4)."""

    def __init__(self, kafka: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep what is needed to ask; nothing is asked before the first connection."""
        super().__init__()
        self._kafka = kafka
        self._clock = clock
        self._lock = threading.Lock()
        self._token, self._renew_at = "", float("-inf")

    def token(self) -> str:
        """Return a token that is valid for a while; fetch one where the last is nearly spent.

        Raises:
            requests.RequestException: The endpoint does not answer, or refuses.

        """
        with self._lock:
            if self._clock() >= self._renew_at:
                now = self._clock()
                self._token, expiry = self.fetch(now)
                # Renewed at 80% of its life, as Java's client does.
                self._renew_at = now + 0.8 * (expiry - now)
            return self._token

    def fetch(self, now: float) -> tuple[str, float]:
        """Return a new token and when it expires, in seconds on the clock that `now` is of.

        Raises:
            requests.RequestException: The endpoint does not answer, or refuses.

        """
        response = requests.post(
            str(self._kafka.oauth_token_url),
            data={"grant_type": "client_credentials", "scope": self._kafka.oauth_scope},
            # As bytes: text would be sent as Latin-1, Java's client sends UTF-8.
            auth=HTTPBasicAuth(
                (self._kafka.oauth_client_id or "").encode(),
                (_reveal(self._kafka.oauth_client_secret) or "").encode(),
            ),
            timeout=TOKEN_PATIENCE_S,
        )
        response.raise_for_status()
        answer = response.json()
        if not isinstance(answer, dict) or not answer.get("access_token"):
            raise requests.RequestException(
                f"{self._kafka.oauth_token_url} answered without an access_token"
            )
        return str(answer["access_token"]), now + float(answer.get("expires_in", 60))


def _jaas(kafka: KafkaSettings) -> str:
    """Return the line that Java's login modules read (JAAS)."""
    module = _java_class(_LOGIN_MODULES[kafka.sasl_mechanism or ""])
    if kafka.sasl_mechanism == "OAUTHBEARER":
        parts = {
            "clientId": kafka.oauth_client_id,
            "clientSecret": _reveal(kafka.oauth_client_secret),
            "scope": kafka.oauth_scope,
        }
    else:
        parts = {"username": kafka.sasl_username, "password": _reveal(kafka.sasl_password)}
    quoted = (f'{name}="{text.translate(_JAAS_ESCAPES)}"' for name, text in parts.items() if text)
    return f"{module} required {' '.join(quoted)};"


def _java_class(name: str) -> str:
    """Return a class of Kafka's client by its name here: Databricks brings it renamed (shaded)."""
    return f"kafkashaded.{name}" if "DATABRICKS_RUNTIME_VERSION" in os.environ else name


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _path(path: object) -> str | None:
    return str(path) if path else None
