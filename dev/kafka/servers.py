"""What a client needs of Kafka, be it one broker or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess


class KafkaServers(Protocol):
    """A broker or a cluster: the addresses for clients, and Kafka's own tools."""

    @property
    def bootstrap_servers(self) -> str:
        """The addresses that clients connect to first."""

    def tool(self, main_class: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run one of Kafka's command-line classes and return the completed process."""
