"""The broker of the other tests: its three listeners, its tools, its restarts."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from dev.kafka.broker import Broker
from dev.kafka.certificates import issue_certificates
from dev.kafka.distribution import fetch_kafka
from dev.kafka.process import NotReady
from dev.kafka.topics import committed_offsets, create_topic, end_offsets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dev.kafka.certificates import Certificates


@pytest.fixture
def listeners(
    broker: Broker, certificates: Certificates, credentials: tuple[str, str]
) -> dict[str, dict[str, Any]]:
    """Return a kafka-python client's options for each of the broker's listeners."""
    return {
        "plain": {"bootstrap_servers": broker.bootstrap_servers},
        "scram": {
            "bootstrap_servers": broker.sasl_servers,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": credentials[0],
            "sasl_plain_password": credentials[1],
            "ssl_cafile": str(certificates.ca),
        },
        "mtls": {
            "bootstrap_servers": broker.mtls_servers,
            "security_protocol": "SSL",
            "ssl_cafile": str(certificates.ca),
            "ssl_certfile": str(certificates.keystore),
        },
    }


class TestListeners:
    """Listeners accept only authenticated clients."""

    @pytest.mark.parametrize("name", ["plain", "scram", "mtls"])
    def test_write_and_read(
        self,
        name: str,
        listeners: dict[str, dict[str, Any]],
        make_topic: Callable[..., str],
    ) -> None:
        """A client with valid credentials writes and reads over each listener."""
        topic = make_topic()
        with closing(KafkaProducer(**listeners[name])) as producer:
            producer.send(topic, b"value", key=b"key").get(120)
        reading = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 120_000}
        with closing(KafkaConsumer(topic, **listeners[name], **reading)) as consumer:
            record = next(consumer)
        assert (record.key, record.value) == (b"key", b"value")

    def test_wrong_password_is_refused(self, listeners: dict[str, dict[str, Any]]) -> None:
        """SCRAM refuses a wrong password."""
        with pytest.raises(KafkaError):
            KafkaProducer(
                **listeners["scram"] | {"sasl_plain_password": "wrong"}, bootstrap_timeout_ms=3000
            )

    def test_foreign_certificate_is_refused(
        self, listeners: dict[str, dict[str, Any]], tmp_path: Path
    ) -> None:
        """A client certificate of another authority is refused."""
        foreign = {"ssl_certfile": str(issue_certificates(tmp_path).keystore)}
        with pytest.raises(KafkaError):
            KafkaProducer(**listeners["mtls"] | foreign, bootstrap_timeout_ms=3000)


class TestRecords:
    """The shared fixtures and Kafka's tools transport records unchanged."""

    def test_everything_that_kafka_allows(
        self,
        make_topic: Callable[..., str],
        produce: Callable[..., None],
        read_topic: Callable[[str], list[Any]],
    ) -> None:
        """Missing keys and values, repeated headers and headers without a value survive."""
        topic = make_topic(partitions=2)
        headers = [("a", b"1"), ("a", None), ("b", b"\xff")]
        produce(
            topic,
            {"value": b"first", "key": None, "partition": 0},
            {"value": None, "key": b"key", "headers": headers, "partition": 1},
            {"value": b"", "key": b"", "partition": 1},
        )
        first, second, third = read_topic(topic)
        assert (first.key, first.value, first.headers) == (None, b"first", [])
        assert (second.key, second.value, second.headers) == (b"key", None, headers)
        assert (third.partition, third.offset, third.key, third.value) == (1, 1, b"", b"")

    def test_console_tools(
        self, broker: Broker, make_topic: Callable[..., str], produce: Callable[..., None]
    ) -> None:
        """Kafka's console consumer prints records of a client and of Kafka's console producer."""
        topic = make_topic()
        server = ["--bootstrap-server", broker.bootstrap_servers]
        produce(topic, {"value": "Zoë".encode()})
        broker.tool(
            "org.apache.kafka.tools.ConsoleProducer", *server, "--topic", topic, input="typed\n"
        ).check_returncode()
        read = broker.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            *(*server, "--topic", topic, "--from-beginning", "--max-messages", "2"),
            *("--group", topic, "--timeout-ms", "120000"),
        )
        assert read.stdout == "Zoë\ntyped\n", read.stderr
        assert committed_offsets(broker.bootstrap_servers, topic, topic) == {0: 2}

    def test_group_without_commits(self, broker: Broker, make_topic: Callable[..., str]) -> None:
        """An unknown group has no committed offsets."""
        assert committed_offsets(broker.bootstrap_servers, "nobody", make_topic()) == {}


class TestLifeCycle:
    """Fault tests use a broker of their own."""

    def test_data_survives_a_kill(self, tmp_path: Path) -> None:
        """A killed broker serves its topics again on the same port, even beside another one."""
        with Broker(tmp_path / "broker", fetch_kafka(), properties={"num.partitions": "3"}) as own:
            create_topic(own.bootstrap_servers, "kept", partitions=2)
            own.kill()
            own.start()
            assert end_offsets(own.bootstrap_servers, "kept") == {0: 0, 1: 0}

    def test_failed_start_shows_the_log(self, broker: Broker, tmp_path: Path) -> None:
        """A broker whose port is in use reports it, and leaves no process behind."""
        taken = int(broker.bootstrap_servers.rpartition(":")[2])
        own = Broker(tmp_path / "broker", fetch_kafka(), port=taken)
        with pytest.raises(NotReady, match="Address already in use"):
            own.start()
