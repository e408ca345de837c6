"""The section `kafka`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from app.settings.section import Section


class KafkaSettings(Section):
    """How to reach Kafka; feeds Spark's connector and kafka-python alike.

    Attributes:
        ssl_ca_file: PEM file with the authorities to trust; without it the system's.
        ssl_keystore_file: PEM file with the client's private key (PKCS#8) and its certificates.
        compression_type: How results and dead letters are compressed; gzip, which every client
            reads without a further package.

    """

    bootstrap_servers: str = Field("localhost:9092", min_length=1)
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
                f"sasl_mechanism is set, yet security_protocol is {self.security_protocol}: "
                "use SASL_SSL"
            )
        if missing := [name for name, value in needs.items() if not value]:
            raise ValueError(f"security_protocol {self.security_protocol} needs {missing}")
        for name in ("ssl_ca_file", "ssl_keystore_file"):
            path = getattr(self, name)
            if path and not path.is_file():
                raise ValueError(f"{name}: there is no file {path}")
        return self
