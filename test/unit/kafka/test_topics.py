from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
)

from tidemill.errors import BrokerUnreachable, InvalidTopics, KafkaAuthFailed
from tidemill.kafka.record_size import TopicLimits
from tidemill.kafka.topics import AFTER, Topic, inputs, is_input
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.streaming import preflight
from tidemill.streaming.preflight import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KAFKA = KafkaSettings(bootstrap_servers="k:1")
STREAM = StreamSettings(input_topics=("in",), output_topic="out")
PATTERN = StreamSettings(input_pattern="in.*", output_topic="out")
SETTINGS = {"max.message.bytes": "5", "cleanup.policy": "compact"}


class Admin:
    """A broker with three topics of the job and one of another program."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ("in", "out", "out.dlq", "other")
        self.settings: Mapping[str, Mapping[str, str | None]] = {}
        self.fails: KafkaError | None = None
        self.asked: set[str] = set()
        self.closed = 0

    def describe_topics(self, names: list[str] | None) -> list[dict[str, Any]]:
        """Describe the topics, including missing ones."""
        return [
            {
                "name": name,
                "partitions": [0, 1] if name in self.names else [],
                "error_code": 0 if name in self.names else 3,
                "is_internal": name.startswith("__"),
            }
            for name in names or self.names
        ]

    def describe_configs(self, resources: list[Any], **_: object) -> dict[str, Any]:
        """Describe settings; kafka-python omits topics whose settings may not be read."""
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
    """Return the broker that preflight connects to."""
    broker = Admin()
    monkeypatch.setattr(preflight, "KafkaAdminClient", lambda **_: broker)
    return broker


class TestDescribe:
    """Preflight describes the topics of the job."""

    def test_settings(self, admin: Admin) -> None:
        """Each topic has its partitions and settings."""
        admin.settings = dict.fromkeys(admin.names, SETTINGS)
        expected = dict.fromkeys(("in", "out", "out.dlq"), Topic(2, SETTINGS))
        assert describe(KAFKA, STREAM) == expected
        assert admin.closed == 1

    def test_missing(self, admin: Admin) -> None:
        """A missing topic is left out."""
        admin.names = ("in", "out")
        assert set(describe(KAFKA, STREAM)) == {"in", "out"}

    def test_pattern(self, admin: Admin) -> None:
        """With a pattern, all topics are listed, but only the job's settings are read."""
        admin.names = (*admin.names, "in-2")
        assert set(describe(KAFKA, PATTERN)) == set(admin.names)
        assert admin.asked == {"in", "in-2", "out", "out.dlq"}

    def test_older_broker(self, admin: Admin) -> None:
        """A setting that the broker does not know has Kafka's default."""
        admin.settings = {"in": {**SETTINGS, "segment.bytes": None}}
        topic = describe(KAFKA, STREAM)["in"]
        assert (topic.compacted, topic.max_bytes) == (True, 5)
        assert topic.number("segment.bytes") == 2**30
        assert topic.clock_limits[AFTER] == 3_600_000

    def test_not_allowed(self, admin: Admin) -> None:
        """A topic whose settings may not be read has Kafka's defaults."""
        admin.settings = {"in": SETTINGS}
        topics = describe(KAFKA, STREAM)
        assert topics["in"].settings
        assert topics["out"] == topics["out.dlq"] == Topic(2)
        assert topics["out"].limits("gzip") == TopicLimits(1_048_588, (("gzip", None),))

    def test_outage(self, admin: Admin) -> None:
        """A broker that becomes unreachable does not count as one that refuses."""
        admin.fails = KafkaTimeoutError("away")
        with pytest.raises(BrokerUnreachable, match="away"):
            describe(KAFKA, STREAM)


class TestInputs:
    """One rule says which topics the job reads."""

    TOPICS: ClassVar = {"in-1": Topic(1), "out": Topic(1), "__in": Topic(50, is_internal=True)}

    @pytest.mark.parametrize(
        ("regex", "names"),
        [
            ("in.*", ["in-1"]),
            ("in", []),
            (".*in.*", ["in-1"]),
            (".*", ["in-1", "out"]),
        ],
    )
    def test_pattern(self, regex: str, names: list[str]) -> None:
        """A pattern matches whole names, but no internal topic."""
        stream = StreamSettings(input_pattern=regex, output_topic="out")
        assert inputs(self.TOPICS, stream) == names

    def test_listed(self) -> None:
        """Listed topics keep their order and count once. Internal topics may be listed."""
        stream = StreamSettings(input_topics=("__in", "gone", "in-1", "__in"), output_topic="out")
        assert inputs(self.TOPICS, stream) == ["__in", "in-1"]

    def test_missing(self) -> None:
        """A topic that does not exist is an input if the settings name it."""
        assert is_input(STREAM, "in")
        assert is_input(PATTERN, "in-2")
        assert not is_input(STREAM, "in-2")
        assert not is_input(PATTERN, "out")


class TestCheck:
    """A start reads the topics' limits."""

    def test_limits(self, admin: Admin) -> None:
        """The output topics have limits."""
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
        """A topic that would lose dead letters stops the start."""
        admin.settings = {"out.dlq": {"cleanup.policy": "compact"}}
        with pytest.raises(InvalidTopics, match=r"out\.dlq is compacted"):
            preflight.check(KAFKA, STREAM)


class TestNoAnswer:
    """kafka-python only logs the reasons of failed connections; errors quote them."""

    @pytest.fixture
    def fail(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Return a function that makes the client log reasons, as kafka-python does, and fail."""
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
        """The error quotes the reason."""
        fail("KafkaConnectionError: 111 ECONNREFUSED")
        with pytest.raises(BrokerUnreachable, match=r"at k:1: .*ECONNREFUSED"):
            describe(KAFKA, STREAM)

    def test_disconnected_at_login(self, fail: Callable[..., None]) -> None:
        """A broker that accepts the connection and then closes it refuses the login."""
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
        """Without a logged reason, the error is quoted itself."""
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
        """Refused credentials are a configuration error, which quotes the broker."""
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
        """Refused certificates are one too, which quotes the reason."""
        fail(reason)
        with pytest.raises(KafkaAuthFailed) as caught:
            describe(KAFKA, STREAM)
        assert "Kafka at k:1 refuses the connection" in str(caught.value)
        assert reason in str(caught.value)

    def test_handler_removed(self, fail: Callable[..., None]) -> None:
        """The handler that collected the reasons is removed."""
        before = list(logging.getLogger("kafka").handlers)
        fail("KafkaConnectionError: x")
        with pytest.raises(BrokerUnreachable):
            describe(KAFKA, STREAM)
        assert logging.getLogger("kafka").handlers == before
