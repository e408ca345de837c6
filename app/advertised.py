"""Find the brokers whose advertised address cannot be reached from here.

A client asks a bootstrap server for the cluster's brokers and then connects to the addresses that
these advertise. If one is wrong, the bootstrap server answers and nothing else does.
"""

from __future__ import annotations

import socket
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from kafka.net.compat import KafkaNetClient

from app.background import in_background
from app.connection import python_options

if TYPE_CHECKING:
    from app.settings import KafkaSettings

PATIENCE_S = 3.0


def unreachable(kafka: KafkaSettings) -> list[str]:
    """Say of each such broker what it advertises and why that cannot be reached.

    Raises:
        KafkaError, OSError: No bootstrap server answers.

    """
    probes = {
        f"broker {node} advertises {host}:{port}": in_background(partial(_probe, host, port))
        for node, host, port in _brokers(kafka)
    }
    deadline = time.monotonic() + PATIENCE_S
    found = []
    for said, probe in probes.items():
        try:
            reason = probe.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            reason = "no answer"
        if reason:
            found.append(f"{said} ({reason})")
    return found


def _brokers(kafka: KafkaSettings) -> list[tuple[int, str, int]]:
    milliseconds = 1000 * PATIENCE_S
    options = {**python_options(kafka), "request_timeout_ms": milliseconds}
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
