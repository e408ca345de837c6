"""The job continues while the brokers of a cluster fail one after the other."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from dev.kafka.cluster import COORDINATORS, Cluster
from dev.kafka.distribution import fetch_kafka
from dev.pipeline.pipeline import quick_spark
from faults import scenario

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.pipeline.pipeline import Pipeline


GROUPS, TRANSACTIONS = COORDINATORS
START_TIMEOUT_S = 300  # three nodes and a job share two cores


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of three nodes."""
    with Cluster(tmp_path_factory.mktemp("cluster"), fetch_kafka()) as running:
        yield running


@pytest.fixture
def pipeline(cluster: Cluster, tmp_path: Path) -> Pipeline:
    """A pipeline on topics with three replicas and leaders on every node."""
    return scenario.make_pipeline(cluster, tmp_path, replicas=3)


class Replicated(scenario.Flow):
    """A job on replicated topics of a cluster whose nodes fail."""

    def __init__(self, cluster: Cluster, pipeline: Pipeline, delivery: str) -> None:
        """Start the job."""
        job = pipeline.environment(
            "Upper",
            STREAM__DELIVERY=delivery,
            STREAM__ARROW_BATCH_SIZE="10",
            # Spark's default number of attempts: each fault may cost one.
            SPARK=json.dumps({**quick_spark(), "spark.master": "local[2,4]"}),
        )
        super().__init__(pipeline, delivery, pipeline.program(job))
        own = (TRANSACTIONS,) if delivery == "exactly-once" else ()
        self._topics = (pipeline.source, pipeline.output, pipeline.dead, GROUPS, *own)
        self._cluster = cluster

    def kill(self, node: int) -> None:
        """Kill a node, and restart it when the others have taken over."""
        broker = self._cluster.nodes[node]
        broker.kill()
        scenario.wait_until(lambda: not self._leads(node))
        time.sleep(2)
        broker.start(START_TIMEOUT_S)
        self._recover()

    def pause(self, node: int, seconds: float) -> None:
        """Pause a node without closing its connections."""
        broker = self._cluster.nodes[node]
        broker.pause()
        try:
            time.sleep(seconds)
        finally:
            broker.resume()
        self._recover()

    def move_leaders(self) -> None:
        """Move leaders back to the nodes that failed before."""
        self._cluster.elect_preferred_leaders(*self._topics)
        self._recover()

    def _leads(self, node: int) -> bool:
        leaders = set[int]().union(*map(self._cluster.leaders, self._topics))
        return node in {*leaders, self._cluster.controller()}

    def _recover(self) -> None:
        """Wait until all messages are processed and all replicas are in sync."""
        self.catch_up()
        self._cluster.wait_until_in_sync(*self._topics)


SLOW = [pytest.param(d, marks=pytest.mark.slow) for d in ("exactly-once", "at-least-once")]


@pytest.mark.timeout(1500)
class TestCluster:
    """With three replicas, of which two are required, one node at a time may fail."""

    @pytest.mark.parametrize("delivery", SLOW)
    def test_leaders(self, cluster: Cluster, pipeline: Pipeline, delivery: str) -> None:
        """Killed, paused and moved partition leaders only cost time."""
        with Replicated(cluster, pipeline, delivery) as flow:
            killed, paused, *_ = cluster.nodes.keys() - cluster.leaders(GROUPS)
            flow.kill(killed)
            flow.move_leaders()
            flow.pause(paused, 12)
            flow.finish()

    @pytest.mark.parametrize("delivery", SLOW)
    def test_coordinators(self, cluster: Cluster, pipeline: Pipeline, delivery: str) -> None:
        """Killed group coordinators, transaction coordinators and controllers only cost time."""
        with Replicated(cluster, pipeline, delivery) as flow:
            for _ in range(2):
                flow.kill(cluster.leader(GROUPS))
                flow.kill(cluster.controller())
                if delivery == "exactly-once":
                    flow.kill(cluster.leader(TRANSACTIONS))
                flow.move_leaders()
            flow.finish()

    @pytest.mark.parametrize("delivery", SLOW)
    def test_long_pauses(self, cluster: Cluster, pipeline: Pipeline, delivery: str) -> None:
        """A broker that pauses for longer than any client's timeout only costs time."""
        with Replicated(cluster, pipeline, delivery) as flow:
            flow.pause(cluster.leader(pipeline.output), 75)
            flow.pause(cluster.leader(GROUPS), 75)
            flow.finish()
