"""Run a real Kafka cluster on loopback: three nodes, each both broker and controller."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from confluent_kafka import ElectionType, TopicPartition
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from dev.kafka.broker import Broker, free_listeners, new_cluster_id
from dev.kafka.ports import HOST

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

NODES: Final = (1, 2, 3)
REPLICATED: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    # Only tests move leaders.
    "auto.leader.rebalance.enable": "false",
}
# Each has one partition (`dev.kafka.properties`); its leader is the coordinator of all groups.
COORDINATORS: Final = ("__consumer_offsets", "__transaction_state")
TIMEOUT_S: Final = 120.0


class Cluster:
    """Three nodes with their data in one folder; any two of them suffice."""

    def __init__(
        self,
        folder: Path,
        libs: Path,
        *,
        heap: str = "256m",
        properties: Mapping[str, str] | None = None,
    ) -> None:
        listeners = {node: free_listeners() for node in NODES}
        voters = [f"{node}@{HOST}:{ports.controller}" for node, ports in listeners.items()]
        self.folder = folder
        self.libs = libs
        cluster_id = new_cluster_id()
        self.nodes = {
            node: Broker(
                folder / f"node-{node}",
                libs,
                heap=heap,
                cluster_id=cluster_id,
                listeners=ports,
                properties={
                    **REPLICATED,
                    "node.id": str(node),
                    "controller.quorum.voters": ",".join(voters),
                    **(properties or {}),
                },
            )
            for node, ports in listeners.items()
        }

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all nodes."""
        return ",".join(node.bootstrap_servers for node in self.nodes.values())

    def start(self) -> None:
        """Start all nodes at once, since none gets ready alone, and wait until they are ready.

        Raises:
            NotReady: A node ended or took too long; the message has the end of its log.
            BrokerNotFormatted: A node's data folder could not be formatted.
            JavaNotFound: There is no Java.

        """
        nodes = self.nodes.values()
        with ThreadPoolExecutor(len(nodes)) as pool:
            for formatted in [pool.submit(node.format) for node in nodes]:
                formatted.result()
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_until_ready()

    def stop(self) -> None:
        """Kill all nodes: a suspended one cannot shut down cleanly."""
        for node in self.nodes.values():
            node.kill()

    def leader(self, topic: str, partition: int = 0) -> int:
        """Return the node that leads a partition."""
        return int(self._partitions(topic)[partition].leader)

    def leaders(self, topic: str) -> set[int]:
        """Return the nodes that lead partitions of a topic."""
        return {int(p.leader) for p in self._partitions(topic).values()}

    def controller(self) -> int:
        """Return the active controller."""
        while True:  # the client may ask a node that is down
            with suppress(KafkaError), closing(self._quorum()) as admin:
                (topic,) = admin.describe_metadata_quorum()["topics"]
                return int(topic["partitions"][0]["leader_id"])

    def wait_until_in_sync(self, *topics: str, timeout: float = 300.0) -> None:
        """Wait until all replicas of the topics are in sync, so that a node may fail.

        Raises:
            TimeoutError: They are not in sync in time.

        """
        deadline = time.monotonic() + timeout
        while not all(self._in_sync(topic) for topic in topics):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topics} are not in sync after {timeout:g} s")
            time.sleep(0.2)

    def elect_preferred_leaders(self, *topics: str) -> None:
        """Make the first replica of each partition of the topics its leader."""
        partitions = [TopicPartition(topic, p) for topic in topics for p in self._partitions(topic)]
        admin = self._admin()
        admin.elect_leaders(ElectionType.PREFERRED, partitions).result()

    def tool(self, main_class: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run one of Kafka's command-line classes and return the completed process."""
        return next(iter(self.nodes.values())).tool(main_class, *args)

    def _partitions(self, topic: str) -> dict[int, Any]:
        return dict(self._admin().list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions)

    def _in_sync(self, topic: str) -> bool:
        return all(len(p.isrs) == len(NODES) for p in self._partitions(topic).values())

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def _quorum(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)

    def __enter__(self) -> Self:
        """Start the cluster."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the cluster."""
        self.stop()
