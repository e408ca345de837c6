"""Find the brokers whose advertised address cannot be reached from here.

A client asks a bootstrap server for the cluster's brokers and then connects to the addresses that
these advertise. If one is wrong, the bootstrap server answers and nothing else does.
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

PATIENCE_S, GRACE_S = 3.0, 0.2


def unreachable(kafka: KafkaSettings) -> list[str]:
    """Say of each such broker what it advertises and why that cannot be reached.

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
    """Return those of several bootstrap servers to which a connection can be made.

    Once one is found, the others have a fraction of a second left.
    """
    if len(servers) == 1:
        return [*servers]
    parted = [server.rpartition(":") for server in servers]
    probes = [in_background(partial(_probe, at.strip("[]"), int(port))) for at, _, port in parted]
    with suppress(TimeoutError):
        next((probe for probe in as_completed(probes, PATIENCE_S) if probe.result() is None), None)
    done, _ = wait(probes, GRACE_S)
    found = zip(servers, probes, strict=True)
    return [server for server, probe in found if probe in done and probe.result() is None]


def _probes(addresses: Sequence[tuple[str, int]]) -> list[str | None]:
    """Try all addresses at once; return why each cannot be reached, None for those that can."""
    deadline = time.monotonic() + PATIENCE_S
    probes = [in_background(partial(_probe, *address)) for address in addresses]
    reasons: list[str | None] = []
    for probe in probes:
        try:
            reasons.append(probe.result(max(0.0, deadline - time.monotonic())))
        except TimeoutError:
            reasons.append("no answer")
    return reasons


def _brokers(kafka: KafkaSettings) -> list[tuple[int, str, int]]:
    milliseconds = 1000 * PATIENCE_S
    options = {**python_options(kafka), "request_timeout_ms": milliseconds}
    servers = options["bootstrap_servers"]
    options["bootstrap_servers"] = answering(servers) or servers
    with closing(KafkaNetClient(**options)) as network:
        network.get_broker_version(milliseconds)  # bootstraps
        return sorted((at.node_id, at.host, at.port) for at in network.cluster.brokers())


def _probe(host: str, port: int) -> str | None:
    """Return why no connection can be made, or None."""
    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except socket.gaierror:
        return "the name does not resolve"
    except ConnectionRefusedError:
        return "nothing listens there"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)
    return None
