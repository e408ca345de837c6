"""The query that scales servers on Kubernetes, in a real Prometheus that reads a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import server_process
import yaml
from pool_processes import wait_until

from dev import ROOT
from dev.monitoring.servers import TIMEOUT_S, Prometheus

if TYPE_CHECKING:
    from pathlib import Path

SCALED = ROOT / "deploy/kubernetes/serving/keda/scaled-object.yaml"


class TestQuery:
    """KEDA gets one number, whether or not there are requests."""

    def test_query(self, tmp_path: Path) -> None:
        """It is 0 without requests, and exceeds the threshold if inputs wait for long."""
        (trigger,) = yaml.safe_load(SCALED.read_text("utf-8"))["spec"]["triggers"]
        query, threshold = trigger["metadata"]["query"], float(trigger["metadata"]["threshold"])
        slow = server_process.running(processes=1, adaptive=False, max_wait_ms=1500)
        with slow as server, Prometheus(tmp_path, f"127.0.0.1:{server.port}") as prometheus:
            prometheus.wait_for("up == 1")
            assert prometheus.query(query) == [({}, 0.0)]

            def exceeds() -> bool:
                server.ask("upper", "a")  # which waits for others, in vain
                ((_, seconds),) = prometheus.query(query)
                return seconds > threshold

            wait_until(exceeds, TIMEOUT_S)
