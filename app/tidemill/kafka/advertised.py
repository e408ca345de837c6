"""Find the brokers whose advertised address cannot be reached from here.

A client asks a bootstrap server for the cluster's brokers and then connects to the addresses that
they advertise. If such an address is wrong, only the bootstrap server can be reached.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import as_completed, wait
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from kafka.net.compat import KafkaNetClient

from tidemill.background import in_background
from tidemill.kafka.client_options import python_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.settings import KafkaSettings

CONNECT_TIMEOUT_S, GRACE_S = 3.0, 0.2


def unreachable(kafka: KafkaSettings) -> list[str]:
    """Describe each broker whose advertised address cannot be reached, with the reason.

    Raises:
        KafkaError, OSError: No bootstrap server answers.

    """
    brokers = _brokers(kafka)
    reasons = _probes([(host, port) for _, host, port in brokers])
    return [
        f"broker {node} advertises {host}:{port} ({reason})"
        for (node, host, port), reason in zip(brokers, reasons, strict=True)
        if reason
    ]


def answering(servers: Sequence[str]) -> list[str]:
    """Return the bootstrap servers that accept a connection.

    Once one server accepts, the others have a fraction of a second left.
    """
    if len(servers) == 1:
        return [*servers]
    addresses = [server.rpartition(":") for server in servers]
    probes = [
        in_background(partial(_probe, host.strip("[]"), int(port))) for host, _, port in addresses
    ]
    with suppress(TimeoutError):
        next(
            (probe for probe in as_completed(probes, CONNECT_TIMEOUT_S) if probe.result() is None),
            None,
        )
    done, _ = wait(probes, GRACE_S)
    probed = zip(servers, probes, strict=True)
    return [server for server, probe in probed if probe in done and probe.result() is None]


def _probes(addresses: Sequence[tuple[str, int]]) -> list[str | None]:
    """Probe all addresses in parallel; return the reason for each failure, None for a success."""
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    probes = [in_background(partial(_probe, *address)) for address in addresses]
    reasons: list[str | None] = []
    for probe in probes:
        try:
            reasons.append(probe.result(max(0.0, deadline - time.monotonic())))
        except TimeoutError:
            reasons.append("no answer")
    return reasons


def _brokers(kafka: KafkaSettings) -> list[tuple[int, str, int]]:
    milliseconds = 1000 * CONNECT_TIMEOUT_S
    options = {**python_options(kafka), "request_timeout_ms": milliseconds}
    servers = options["bootstrap_servers"]
    options["bootstrap_servers"] = answering(servers) or servers
    with closing(KafkaNetClient(**options)) as network:
        network.get_broker_version(milliseconds)  # bootstraps
        return sorted((node.node_id, node.host, node.port) for node in network.cluster.brokers())


def _probe(host: str, port: int) -> str | None:
    """Connect once; return the reason for a failure, or None."""
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except socket.gaierror:
        return "the name does not resolve"
    except ConnectionRefusedError:
        return "nothing listens there"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)
    return None
