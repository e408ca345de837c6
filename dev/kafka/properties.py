"""Write server.properties of a one-node broker that starts fast and needs little memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dev.kafka.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SMALL: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "auto.create.topics.enable": "false",
    # One node can hold only one replica.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # With the default, Kafka creates fifty folders before the first commit.
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker can register again only after its old session has expired.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # The cleaner's default buffer, 128 MB, does not fit into a small heap.
    "log.cleaner.dedupe.buffer.size": "8388608",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "background.threads": "2",
}


@dataclass(frozen=True, slots=True)
class Listeners:
    """The broker's ports; those for SASL and mutual TLS are optional."""

    plain: int
    controller: int
    sasl: int | None = None
    mtls: int | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """The broker's PEM files: a PKCS#8 key with its certificate chain, and the trusted CA."""

    keystore: Path
    ca: Path


def server_properties(
    data: Path, listeners: Listeners, tls: Tls | None, overrides: Mapping[str, str]
) -> str:
    """Return the text of server.properties; `overrides` take precedence."""
    ports = {
        "PLAINTEXT": listeners.plain,
        "CONTROLLER": listeners.controller,
        "SASL": listeners.sasl,
        "MTLS": listeners.mtls,
    }
    addresses = {name: f"{name}://{HOST}:{port}" for name, port in ports.items() if port}
    properties = {
        **SMALL,
        "log.dirs": str(data),
        "controller.quorum.voters": f"1@{HOST}:{listeners.controller}",
        "listeners": ",".join(addresses.values()),
        "advertised.listeners": ",".join(
            address for name, address in addresses.items() if name != "CONTROLLER"
        ),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL"
        ),
        **(secured(tls) if tls else {}),
        **overrides,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def secured(tls: Tls) -> dict[str, str]:
    """Return the properties of the SASL and the mutual-TLS listener."""
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(tls.keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(tls.ca),
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": login,
    }
