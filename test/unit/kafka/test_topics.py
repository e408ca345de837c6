from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
)

from tidemill.errors import BrokerUnreachable, InvalidTopics, KafkaAuthFailed
from tidemill.kafka.record_size import TopicLimits
from tidemill.kafka.topics import AFTER, Topic
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.streaming import preflight
from tidemill.streaming.preflight import describe

if TYPE_CHECKING:
    from collections.abc import Callable

KAFKA = KafkaSettings(bootstrap_servers="k:1")
STREAM = StreamSettings(input_topics=("in",), output_topic="out")
PATTERN = StreamSettings(input_pattern="in.*", output_topic="out")
SETTINGS = {"max.message.bytes": "5", "cleanup.policy": "compact"}


class Admin:
    """A broker with three topics of ours and one of others."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ("in", "out", "out.dlq", "other")
        self.settings: dict[str, dict[str, str | None]] = {}
        self.fails: KafkaError | None = None
        self.asked: set[str] = set()
        self.closed = 0

    def describe_topics(self, names: list[str] | None) -> list[dict[str, Any]]:
        """Describe the topics, those that are not there too."""
        return [
            {
                "name": name,
                "partitions": [0, 1] if name in self.names else [],
                "error_code": 0 if name in self.names else 3,
            }
            for name in names or self.names
        ]

    def describe_configs(self, resources: list[Any], **_: object) -> dict[str, Any]:
        """Describe settings; kafka-python gives none for a topic that it may not ask about."""
        self.asked = {resource.name for resource in resources}
        if self.fails:
            raise self.fails
        return {
            "topic": {
                name: {key: {"value": value} for key, value in self.settings.get(name, {}).items()}
                for name in self.asked
            }
        }

    def close(self) -> None:
        """Close the connection."""
        self.closed += 1


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    """Return the broker that is asked."""
    broker = Admin()
    monkeypatch.setattr(preflight, "KafkaAdminClient", lambda **_: broker)
    return broker


class TestDescribe:
    """The broker is asked for the topics of the stream."""

    def test_settings(self, admin: Admin) -> None:
        """Partitions and settings of each are read."""
        admin.settings = dict.fromkeys(admin.names, SETTINGS)
        expected = dict.fromkeys(("in", "out", "out.dlq"), Topic(2, SETTINGS))
        assert describe(KAFKA, STREAM) == expected
        assert admin.closed == 1

    def test_missing(self, admin: Admin) -> None:
        """A topic that is not there is left out."""
        admin.names = ("in", "out")
        assert set(describe(KAFKA, STREAM)) == {"in", "out"}

    def test_pattern(self, admin: Admin) -> None:
        """With a pattern all topics are listed, and the limits of ours asked."""
        admin.names = (*admin.names, "in-2")
        assert set(describe(KAFKA, PATTERN)) == set(admin.names)
        assert admin.asked == {"in", "in-2", "out", "out.dlq"}

    def test_older_broker(self, admin: Admin) -> None:
        """A setting that the broker does not have is Kafka's own."""
        admin.settings = {"in": {**SETTINGS, "segment.bytes": None}}
        topic = describe(KAFKA, STREAM)["in"]
        assert (topic.compacted, topic.max_bytes) == (True, 5)
        assert topic.number("segment.bytes") == 2**30
        assert topic.clock_limits[AFTER] == 3_600_000

    def test_not_allowed(self, admin: Admin) -> None:
        """A topic whose settings may not be read is there all the same, with Kafka's own."""
        admin.settings = {"in": SETTINGS}
        topics = describe(KAFKA, STREAM)
        assert topics["in"].settings
        assert topics["out"] == topics["out.dlq"] == Topic(2)
        assert topics["out"].limits("gzip") == TopicLimits(1_048_588, (("gzip", None),))

    def test_outage(self, admin: Admin) -> None:
        """A broker that goes away meanwhile is not taken for one that refuses."""
        admin.fails = KafkaTimeoutError("away")
        with pytest.raises(BrokerUnreachable, match="away"):
            describe(KAFKA, STREAM)


class TestCheck:
    """A start learns what the topics take."""

    def test_limits(self, admin: Admin) -> None:
        """Of those that the job writes."""
        admin.settings = {
            "in": {"max.message.bytes": "1"},
            "out": {"max.message.bytes": "7000", "cleanup.policy": "compact"},
            "out.dlq": {"max.message.bytes": "9000", "compression.type": "uncompressed"},
        }
        limits, warnings = preflight.check(KAFKA, STREAM)
        assert limits == {
            "out": TopicLimits(7000, (("gzip", None),), needs_key=True),
            "out.dlq": TopicLimits(9000, (("gzip", None), ("none", None))),
        }
        assert len(warnings) == 2

    def test_refused(self, admin: Admin) -> None:
        """Nothing starts where the promise cannot be kept."""
        admin.settings = {"out.dlq": {"cleanup.policy": "compact"}}
        with pytest.raises(InvalidTopics, match=r"out\.dlq is compacted"):
            preflight.check(KAFKA, STREAM)


class TestNoAnswer:
    """Of why it gave up kafka-python tells its log only: the reasons are taken from there."""

    @pytest.fixture
    def fail(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Have the client log its reasons, as kafka-python does, and give up.

        It does so at once where a broker refuses the credentials, else when its time is over.
        """
        timeout = KafkaTimeoutError("Unable to bootstrap from ['k:1']")

        def prepare(*reasons: str, error: Exception = timeout) -> None:
            def client(**_: object) -> None:
                log = logging.getLogger("kafka.net.manager")
                for reason in reasons:
                    log.error("Connection failed: %s", reason)
                    log.warning("Bootstrap connection to b-0 failed: %s (backoff 1 secs)", reason)
                    log.warning("Bootstrap b-0 not ready; waiting 1 secs")
                if reasons:
                    log.error("Bootstrap failed: %s", error)
                raise error

            monkeypatch.setattr(preflight, "KafkaAdminClient", client)

        return prepare

    def test_unreachable(self, fail: Callable[..., None]) -> None:
        """The reason is told, not that there was one."""
        fail("KafkaConnectionError: 111 ECONNREFUSED")
        with pytest.raises(BrokerUnreachable, match=r"at k:1: .*ECONNREFUSED"):
            describe(KAFKA, STREAM)

    def test_hung_up_at_the_login(self, fail: Callable[..., None]) -> None:
        """A broker that lets one connect and then hangs up refuses the login."""
        fail("KafkaConnectionError: socket disconnected")
        login = KafkaSettings(
            bootstrap_servers="k:1",
            security_protocol="SASL_SSL",
            sasl_mechanism="PLAIN",
            sasl_username="u",
            sasl_password="p",
        )
        with pytest.raises(KafkaAuthFailed, match="closes the connection at the login"):
            describe(login, STREAM)
        with pytest.raises(BrokerUnreachable, match="it may require TLS or a login"):
            describe(KAFKA, STREAM)

    @pytest.mark.parametrize("error", [KafkaTimeoutError("away"), OSError("away")])
    def test_no_reason(self, fail: Callable[..., None], error: Exception) -> None:
        """Where none was logged the error itself is told."""
        fail(error=error)
        with pytest.raises(BrokerUnreachable, match=r"at k:1: .*away"):
            describe(KAFKA, STREAM)

    @pytest.mark.parametrize(
        "error",
        [
            SaslAuthenticationFailedError("Authentication failed: Invalid username or password"),
            ClusterAuthorizationFailedError("no"),
        ],
    )
    def test_refused(self, fail: Callable[..., None], error: KafkaError) -> None:
        """Refused credentials are a wrong configuration, told with the broker's words."""
        fail("KafkaConnectionError: 111 ECONNREFUSED", str(error), error=error)
        with pytest.raises(KafkaAuthFailed) as caught:
            describe(KAFKA, STREAM)
        assert f"Kafka at k:1 refuses the connection: {error}" in str(caught.value)

    @pytest.mark.parametrize(
        "reason",
        [
            "KafkaConnectionError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            "KafkaConnectionError: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] alert",
        ],
    )
    def test_refused_certificate(self, fail: Callable[..., None], reason: str) -> None:
        """So are refused certificates, with what is wrong with them."""
        fail(reason)
        with pytest.raises(KafkaAuthFailed) as caught:
            describe(KAFKA, STREAM)
        assert "Kafka at k:1 refuses the connection" in str(caught.value)
        assert reason in str(caught.value)

    def test_listener_leaves(self, fail: Callable[..., None]) -> None:
        """Nobody listens to kafka-python's log any longer."""
        before = list(logging.getLogger("kafka").handlers)
        fail("KafkaConnectionError: x")
        with pytest.raises(BrokerUnreachable):
            describe(KAFKA, STREAM)
        assert logging.getLogger("kafka").handlers == before
