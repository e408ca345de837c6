"""Brokers of a cluster fail one after the other, while messages flow: the job goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import scenario

from deploy.local.cluster import COORDINATORS, Cluster
from deploy.local.distribution import fetch_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lane import Lane

    from deploy.local.broker import Broker

GROUPS, TRANSACTIONS = COORDINATORS
PATIENCE_S = 120  # three nodes and a job, on two cores


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes."""
    with Cluster(tmp_path_factory.mktemp("cluster"), fetch_kafka()) as running:
        yield running


@pytest.fixture
def lane(cluster: Cluster, tmp_path: Path) -> Lane:
    """Topics of which each node has a copy, and leads a part."""
    return scenario.make_lane(cluster, tmp_path, replicas=3)


def killed(cluster: Cluster, node: int) -> None:
    """Kill a node; start it again when another does its work."""
    broker = cluster.nodes[node]
    broker.kill()
    scenario.wait_until(lambda: not leads(cluster, node))
    time.sleep(2)
    broker.start(PATIENCE_S)


def paused(cluster: Cluster, node: int, seconds: float) -> None:
    """Halt a node, whose connections stay, for so many seconds."""
    broker: Broker = cluster.nodes[node]
    broker.pause()
    try:
        time.sleep(seconds)
    finally:
        broker.resume()


def leads(cluster: Cluster, node: int) -> bool:
    """Tell whether a node leads one of the coordinators' topics, or the cluster."""
    return node in {*map(cluster.leader, COORDINATORS), cluster.controller()}


class Replicated(scenario.Flow):
    """Messages on topics of a cluster."""

    def __init__(self, cluster: Cluster, lane: Lane, delivery: str) -> None:
        """Start the job."""
        settings = {"STREAM__DELIVERY": delivery, "STREAM__ARROW_BATCH_SIZE": "10"}
        super().__init__(lane, delivery, lane.program(lane.environment("Upper", **settings)))
        own = (TRANSACTIONS,) if delivery == "exactly-once" else ()
        self._topics = (lane.source, lane.output, lane.dead, GROUPS, *own)
        self._cluster = cluster

    def recover(self) -> None:
        """Wait until all that was sent is answered, and every node has all of it."""
        self.catch_up()
        self._cluster.wait_until_in_sync(*self._topics)


@pytest.mark.timeout(600)
class TestCluster:
    """Replicated three times, two of them needed: one node at a time may fail."""

    @pytest.mark.parametrize(
        "delivery", ["exactly-once", pytest.param("at-least-once", marks=pytest.mark.slow)]
    )
    def test_one_after_the_other(self, cluster: Cluster, lane: Lane, delivery: str) -> None:
        """Killed and halted leaders and coordinators, and moved leaders, cost nothing but time."""
        with Replicated(cluster, lane, delivery) as flow:
            killed(cluster, cluster.leader(GROUPS))
            flow.recover()
            cluster.elect_preferred_leaders(lane.source, lane.output, lane.dead)
            if delivery == "exactly-once":
                killed(cluster, cluster.leader(TRANSACTIONS))
                flow.recover()
            killed(cluster, cluster.controller())
            flow.recover()
            paused(cluster, cluster.leader(lane.output), 12)
            flow.recover()
            flow.finish()

    @pytest.mark.slow
    @pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
    def test_long_pauses(self, cluster: Cluster, lane: Lane, delivery: str) -> None:
        """A broker that halts for longer than any client waits costs nothing but time."""
        with Replicated(cluster, lane, delivery) as flow:
            paused(cluster, cluster.leader(lane.output), 75)
            flow.recover()
            paused(cluster, cluster.leader(GROUPS), 75)
            flow.recover()
            cluster.elect_preferred_leaders(lane.source, lane.output, lane.dead, GROUPS)
            flow.finish()
