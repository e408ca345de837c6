"""The section `kafka`."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, SecretStr, model_validator

from tidemill.settings.base import Section

# Host names that Java accepts; kafka-python and librdkafka accept more.
_HOST = re.compile(r"[0-9A-Za-z_.-]+")
_LARGEST_PORT = 65_535


def _servers(servers: str) -> str:
    """Return the addresses without blanks and duplicates, which all three Kafka clients read alike.

    Raises:
        ValueError: An entry is not host:port.

    """
    entries = [entry.strip() for entry in servers.split(",")]
    for number, entry in enumerate(entries, start=1):
        if problem := _problem_of(entry):
            # Keep an address that contains a password out of messages and logs.
            shown = f" {entry!r}" if entry and "@" not in entry else ""
            raise ValueError(
                f"entry {number}{shown} {problem}: write host:port, or [IPv6 address]:port, "
                "with commas between several"
            )
    return ",".join(dict.fromkeys(entries))


def _problem_of(entry: str) -> str | None:
    host, colon, port = entry.rpartition(":")
    ipv6 = host.startswith("[") and host.endswith("]")
    port_is_number = port.isascii() and port.isdigit()
    problems = (
        (not entry, "is empty"),
        ("@" in entry, "contains a user or password"),
        (
            "://" in entry,
            f"begins with {entry.partition('://')[0]}:// (kafka.security_protocol is for that)",
        ),
        (not colon or entry.endswith("]"), "has no port"),
        (not host, "has no host"),
        (ipv6 and not _is_ipv6(host[1:-1]), "has no valid IPv6 address in its brackets"),
        (not ipv6 and ":" in host, "has several colons"),
        (
            not ipv6 and not _HOST.fullmatch(host),
            "has a character that is not allowed in a host name",
        ),
        (not port_is_number or not 0 < int(port) <= _LARGEST_PORT, "has no port from 1 to 65535"),
    )
    return next((text for wrong, text in problems if wrong), None)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


class KafkaSettings(Section):
    """How to connect to Kafka. All three Kafka clients use these settings.

    Attributes:
        bootstrap_servers: Brokers to connect to first: `host:port` or `[IPv6]:port`, separated by
            commas. Name several, so that the job can start while one is down.
        security_protocol: How to connect: with TLS (`SSL`), a login (`SASL_PLAINTEXT`), both
            (`SASL_SSL`), or neither (`PLAINTEXT`).
        isolation_level: `read_committed` reads only committed messages of transactions;
            `read_uncommitted` also reads those of open and aborted transactions.
        compression_type: The compression of results and dead letters. Change it only if all
            their readers support the codec; every client reads gzip without further packages.
        ssl_ca_file: PEM file with the certificate authorities to trust; by default the
            system's. Set it for a private authority.
        ssl_keystore_file: PEM file with the client's private key (PKCS#8) and certificates,
            for brokers that require them.
        ssl_key_password: The password of an encrypted private key.
        ssl_key_password_file: A file that holds this password.
        sasl_mechanism: How to log in, for `SASL_SSL` and `SASL_PLAINTEXT`.
        sasl_username: The user, for `PLAIN` and `SCRAM`.
        sasl_password: The user's password.
        sasl_password_file: A file that holds this password.
        oauth_token_url: The token endpoint, for `OAUTHBEARER`.
        oauth_client_id: The client's id at that endpoint.
        oauth_client_secret: The client's secret at that endpoint.
        oauth_client_secret_file: A file that holds this secret.
        oauth_scope: The scope to request, if the endpoint requires one.

    """

    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = "localhost:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed"
    compression_type: Literal["gzip", "zstd", "lz4", "snappy", "none"] = "gzip"
    ssl_ca_file: Path | None = None
    ssl_keystore_file: Path | None = None
    ssl_key_password: SecretStr | None = None
    ssl_key_password_file: Path | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    oauth_token_url: str | None = None
    oauth_client_id: str | None = None
    oauth_client_secret: SecretStr | None = None
    oauth_client_secret_file: Path | None = None
    oauth_scope: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs: dict[str, object] = {}
        if self.security_protocol.startswith("SASL"):
            needs["sasl_mechanism"] = self.sasl_mechanism
            if self.sasl_mechanism == "OAUTHBEARER":
                needs["oauth_token_url"] = self.oauth_token_url
                needs["oauth_client_id"] = self.oauth_client_id
                needs["oauth_client_secret (or its _file)"] = self.oauth_client_secret
            elif self.sasl_mechanism:
                needs["sasl_username"] = self.sasl_username
                needs["sasl_password (or its _file)"] = self.sasl_password
        elif self.sasl_mechanism:
            raise ValueError(
                f"sasl_mechanism is set, but security_protocol is {self.security_protocol}: "
                "use SASL_SSL"
            )
        if missing := [name for name, value in needs.items() if not value]:
            raise ValueError(f"security_protocol {self.security_protocol} needs {missing}")
        for name in ("ssl_ca_file", "ssl_keystore_file"):
            path = getattr(self, name)
            if path and not path.is_file():
                raise ValueError(f"{name}: there is no file {path}")
        return self
