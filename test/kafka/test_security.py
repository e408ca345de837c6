"""The job against the broker's protected doors; no secret is ever said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jobs import Program, environment
from test_program import LIMIT, messages, models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Record

    from deploy.local.broker import Broker
    from deploy.local.certificates import Certificates

__all__ = ["models"]


@pytest.mark.parametrize("door", ["scram over tls", "client certificate"])
def test_protected(
    door: str,
    broker: Broker,
    certificates: Certificates,
    credentials: tuple[str, str],
    make_topic: Callable[..., str],
    models: Callable[..., Path],
    produce: Callable[..., None],
    read_topic: Callable[[str], list[Record]],
    tmp_path: Path,
) -> None:
    """One section of settings serves Spark and the reporter; at level DEBUG too no secret shows."""
    limit = {"max.message.bytes": LIMIT}
    topics = make_topic("in"), make_topic("out", configs=limit), make_topic("dead", configs=limit)
    produce(topics[0], *messages(3))
    user, password = credentials
    secret = tmp_path / "password"
    secret.write_text(password + "\n")
    protection = {
        "scram over tls": {
            "SECURITY_PROTOCOL": "SASL_SSL",
            "SASL_MECHANISM": "SCRAM-SHA-512",
            "SASL_USERNAME": user,
            "SASL_PASSWORD_FILE": str(secret),
        },
        "client certificate": {
            "SECURITY_PROTOCOL": "SSL",
            "SSL_KEYSTORE_FILE": str(certificates.keystore),
        },
    }[door]
    servers = broker.scram_servers if door == "scram over tls" else broker.mtls_servers
    of_job = environment(
        servers,
        topics,
        models("Upper"),
        tmp_path / "checkpoint",
        TIDEMILL__STREAM__TRIGGER="available-now",
        TIDEMILL__KAFKA__SSL_CA_FILE=str(certificates.ca),
        TIDEMILL__LOG__LEVEL="DEBUG",
        **{f"TIDEMILL__KAFKA__{name}": value for name, value in protection.items()},
    )
    with Program(tmp_path, of_job, "stream") as program:
        assert program.wait() == 0, program.output
        assert "offsets" in program.output
        assert password not in program.output
    assert [json.loads(r.value or b"")["answer"] for r in read_topic(topics[1])] == ["T"] * 3


def test_wrong_password(
    broker: Broker,
    certificates: Certificates,
    credentials: tuple[str, str],
    make_topic: Callable[..., str],
    models: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Refused credentials are one line that does not repeat them."""
    topic = make_topic("in")
    of_job = environment(
        broker.scram_servers,
        (topic, topic + "-out", topic + "-dead"),
        models("Upper"),
        tmp_path / "checkpoint",
        TIDEMILL__KAFKA__SSL_CA_FILE=str(certificates.ca),
        TIDEMILL__KAFKA__SECURITY_PROTOCOL="SASL_SSL",
        TIDEMILL__KAFKA__SASL_MECHANISM="SCRAM-SHA-512",
        TIDEMILL__KAFKA__SASL_USERNAME=credentials[0],
        TIDEMILL__KAFKA__SASL_PASSWORD="canary-secret",
    )
    with Program(tmp_path, of_job, "stream") as program:
        assert program.wait() == 1, program.output
        assert "no answer from Kafka" in program.output
        assert "canary-secret" not in program.output
