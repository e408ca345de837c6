"""One real Kafka broker for all broker tests, and a pipeline of topics on it for each test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from dev.kafka.broker import Broker
from dev.kafka.certificates import Certificates, issue_certificates
from dev.kafka.distribution import fetch_kafka
from dev.kafka.properties import Tls
from dev.kafka.topics import create_topic
from dev.pipeline import oauth_server, records
from dev.pipeline.pipeline import Pipeline
from tidemill.streaming.preflight import ADDED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER, PASSWORD = "tidemill", "tide-and-mill"
# How often the broker looks for transactions that have timed out; otherwise each ten seconds.
GIVE_UP_SOON = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The PEM files of the broker and of a client that it lets in."""
    return issue_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def credentials() -> tuple[str, str]:
    """The user name and password that the broker knows."""
    return USER, PASSWORD


@pytest.fixture(scope="session")
def broker(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Broker]:
    """A broker that listens in plain text, with SCRAM and OAuth over TLS, and for certificates."""
    tls = Tls(certificates.broker, certificates.ca)
    folder = tmp_path_factory.mktemp("broker")
    keys = folder / "keys.json"
    oauth_server.write_keys(keys)
    with Broker(
        folder,
        fetch_kafka(),
        tls=tls,
        users={USER: PASSWORD},
        properties=oauth_server.broker_properties(keys) | GIVE_UP_SOON,
        jvm_options=[oauth_server.broker_jvm_option(keys)],
    ) as running:
        yield running


@pytest.fixture
def make_topic(broker: Broker) -> Callable[..., str]:
    """Make a topic with a name of its own: `make_topic("input", partitions=4, configs={...})`."""

    def make(
        name: str = "topic", *, partitions: int = 1, configs: dict[str, str] | None = None
    ) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        create_topic(broker.bootstrap_servers, unique, partitions=partitions, configs=configs)
        return unique

    return make


@pytest.fixture
def produce(broker: Broker) -> Callable[..., None]:
    """Produce records: `produce(topic, {"value": b"...", "headers": [("a", None)]}, ...)`."""
    return lambda topic, *sent: records.produce(broker.bootstrap_servers, topic, *sent)


@pytest.fixture
def read_topic(broker: Broker) -> Callable[[str], list[records.Record]]:
    """Read a whole topic, read_committed, in the order of partition and offset."""
    return lambda topic: records.read(broker.bootstrap_servers, topic)


@pytest.fixture
def pipeline(broker: Broker, make_topic: Callable[..., str], tmp_path: Path) -> Pipeline:
    """An input, an output and a dead-letter topic, and the job between them."""
    limit = {"max.message.bytes": str(records.INPUT_LIMIT + ADDED_BYTES)}
    return Pipeline(
        broker,
        make_topic("in", partitions=3),
        make_topic("out", partitions=3, configs=limit),
        make_topic("dead", configs=limit),
        tmp_path,
    )
