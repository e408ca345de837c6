"""The job uses the broker's secured listeners, and never logs a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dev.pipeline.oauth_server import token_endpoint
from dev.pipeline.pipeline import message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.kafka.broker import Broker
    from dev.kafka.certificates import Certificates
    from dev.pipeline.pipeline import Pipeline

SECRET = "canary-of-oauth"


@pytest.fixture
def oauth() -> Iterator[tuple[str, list[str]]]:
    """Run a token endpoint that knows one client; yield its URL and the user agents that asked."""
    with token_endpoint("tidemill", SECRET) as served:
        yield served


@pytest.fixture
def doors(
    broker: Broker,
    certificates: Certificates,
    credentials: tuple[str, str],
    oauth: tuple[str, list[str]],
    tmp_path: Path,
) -> dict[str, dict[str, str]]:
    """Return the `kafka` section of the settings for each secured listener."""
    user, password = credentials
    secret = tmp_path / "password"
    secret.write_text(password + "\n")
    sasl = {"BOOTSTRAP_SERVERS": broker.sasl_servers, "SECURITY_PROTOCOL": "SASL_SSL"}
    sections = {
        "scram": {
            **sasl,
            "SASL_MECHANISM": "SCRAM-SHA-512",
            "SASL_USERNAME": user,
            "SASL_PASSWORD_FILE": str(secret),
        },
        "oauth": {
            **sasl,
            "SASL_MECHANISM": "OAUTHBEARER",
            "OAUTH_TOKEN_URL": oauth[0],
            "OAUTH_CLIENT_ID": "tidemill",
            "OAUTH_CLIENT_SECRET": SECRET,
        },
        "certificate": {
            "BOOTSTRAP_SERVERS": broker.mtls_servers,
            "SECURITY_PROTOCOL": "SSL",
            "SSL_KEYSTORE_FILE": str(certificates.keystore),
        },
    }
    return {
        door: {
            f"KAFKA__{name}": value
            for name, value in {**section, "SSL_CA_FILE": str(certificates.ca)}.items()
        }
        for door, section in sections.items()
    }


class TestProtectedBroker:
    """Every Kafka client of the job uses the same section of settings."""

    @pytest.mark.parametrize(
        ("door", "delivery"),
        [
            ("scram", "exactly-once"),
            ("certificate", "exactly-once"),
            ("oauth", "at-least-once"),
            # The deliveries differ only in the client that writes, which has the same options.
            pytest.param("oauth", "exactly-once", marks=pytest.mark.slow),
            pytest.param("scram", "at-least-once", marks=pytest.mark.slow),
            pytest.param("certificate", "at-least-once", marks=pytest.mark.slow),
        ],
    )
    def test_answers_and_says_no_secret(
        self,
        door: str,
        delivery: str,
        doors: dict[str, dict[str, str]],
        credentials: tuple[str, str],
        oauth: tuple[str, list[str]],
        pipeline: Pipeline,
    ) -> None:
        """The job answers messages and commits offsets.

        It logs no secret, even at level DEBUG. Each log line, even one of Spark's, is an object.
        """
        pipeline.produce(*map(message, range(3)))
        job = pipeline.environment(
            "Upper",
            STREAM__TRIGGER="available-now",
            STREAM__DELIVERY=delivery,
            LOG__LEVEL="DEBUG",
            LOG__FORMAT="json",
            **doors[door],
        )
        with pipeline.program(job) as program:
            assert program.wait() == 0, program.output
            assert "stream stopped" in program.output
            assert credentials[1] not in program.output
            assert SECRET not in program.output
            for line in program.output.splitlines():
                assert "event" in json.loads(line), line
        answers = [json.loads(record.value or b"")["answer"] for record in pipeline.results()]
        assert answers == ["T"] * 3
        assert pipeline.committed() == (3, 0)
        if door == "oauth":
            assert any("Java" in agent for agent in oauth[1])
            assert any("python" in agent for agent in oauth[1])

    def test_wrong_password(self, doors: dict[str, dict[str, str]], pipeline: Pipeline) -> None:
        """If the broker refuses the password, the job ends with an error that does not show it."""
        wrong = {**doors["scram"], "KAFKA__SASL_PASSWORD": "canary-secret"}
        del wrong["KAFKA__SASL_PASSWORD_FILE"]
        with pipeline.program(pipeline.environment("Upper", **wrong)) as program:
            assert program.wait() == 2, program.output
            assert "refuses the connection" in program.output
            assert "canary-secret" not in program.output
