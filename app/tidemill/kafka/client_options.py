"""Turn the settings under `kafka` into options of three clients: Java, kafka-python, librdkafka."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from tidemill.kafka.oauth import ClientCredentialsTokens, reveal

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings

_JAVA_LOGIN = "org.apache.kafka.common.security"
_LOGIN_MODULES = {
    "PLAIN": f"{_JAVA_LOGIN}.plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_JAVA_LOGIN}.scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_JAVA_LOGIN}.scram.ScramLoginModule",
    "OAUTHBEARER": f"{_JAVA_LOGIN}.oauthbearer.OAuthBearerLoginModule",
}

# Topics limit compressed sizes, so a record may exceed its topic's limit once it is decompressed.
# Producers accept records of this size, so that such a record can become a dead letter.
MAX_UNCOMPRESSED_BYTES = 64 * 1024 * 1024

# Java parses the line with a StreamTokenizer, whose strings have these escapes.
_JAAS_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


def java_options(kafka: KafkaSettings) -> dict[str, str]:
    """Return the connection options of Java's client, with PEM files for keys and certificates."""
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
            "ssl.key.password": reveal(kafka.ssl_key_password),
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
    """Return the connection options of kafka-python's clients, as keyword arguments."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "security_protocol": kafka.security_protocol,
        "sasl_mechanism": kafka.sasl_mechanism,
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": reveal(kafka.sasl_password),
        "ssl_cafile": _path(kafka.ssl_ca_file),
        "ssl_certfile": _path(kafka.ssl_keystore_file),
        "ssl_keyfile": _path(kafka.ssl_keystore_file),
        "ssl_password": reveal(kafka.ssl_key_password),
    }
    if kafka.sasl_mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = ClientCredentialsTokens(kafka)
    return {name: value for name, value in options.items() if value}


def librdkafka_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the connection options of librdkafka, for confluent-kafka's clients.

    With OAuth, the client fetches tokens while it is polled or flushed.
    """
    options: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": reveal(kafka.sasl_password),
        "ssl.ca.location": _path(kafka.ssl_ca_file),
        "ssl.certificate.location": _path(kafka.ssl_keystore_file),
        "ssl.key.location": _path(kafka.ssl_keystore_file),
        "ssl.key.password": reveal(kafka.ssl_key_password),
    }
    if kafka.sasl_mechanism == "OAUTHBEARER":
        credentials = ClientCredentialsTokens(kafka)
        # librdkafka keeps the token, and renews it after 80% of its lifetime.
        options["oauth_cb"] = lambda _: credentials.fetch(time.time())
    return {name: value for name, value in options.items() if value}


def _jaas(kafka: KafkaSettings) -> str:
    """Return the JAAS line for Java's login modules."""
    module = _java_class(_LOGIN_MODULES[kafka.sasl_mechanism or ""])
    if kafka.sasl_mechanism == "OAUTHBEARER":
        parts = {
            "clientId": kafka.oauth_client_id,
            "clientSecret": reveal(kafka.oauth_client_secret),
            "scope": kafka.oauth_scope,
        }
    else:
        parts = {"username": kafka.sasl_username, "password": reveal(kafka.sasl_password)}
    quoted = (f'{name}="{text.translate(_JAAS_ESCAPES)}"' for name, text in parts.items() if text)
    return f"{module} required {' '.join(quoted)};"


def _java_class(name: str) -> str:
    """Return the name of a class of Kafka's client; Databricks shades (renames) it."""
    return f"kafkashaded.{name}" if "DATABRICKS_RUNTIME_VERSION" in os.environ else name


def _path(path: object) -> str | None:
    return str(path) if path else None
