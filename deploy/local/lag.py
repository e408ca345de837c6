"""How far the job's consumer group has come, as Kafka's own tool tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from deploy.local.screen import lag_table, step
from deploy.local.topics import committed_offsets, end_offsets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from deploy.local.broker import Broker

CONSUMER_GROUPS: Final = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
COMMITS_S: Final = 20.0


def show_lag(console: Console, broker: Broker, group: str, topic: str) -> None:
    """Show the consumer group's lag, once its offsets have reached the input's end."""
    servers = broker.bootstrap_servers
    deadline = time.monotonic() + COMMITS_S
    with step(console, f"offsets of the consumer group {group}"):
        ends = end_offsets(servers, topic)
        while not (reached := has_reached(committed_offsets(servers, group, topic), ends)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.3)
    arguments = ("--bootstrap-server", servers, "--describe", "--group", group)
    described = broker.tool(CONSUMER_GROUPS, *arguments)
    console.print(lag_table(described.stdout))
    if not reached:
        console.print(f"[yellow]the group was not at the end within {COMMITS_S:g} s[/]")


def has_reached(committed: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    """Tell whether a group has come to the end; nobody commits in a partition without messages."""
    return all(committed.get(partition, 0) >= end for partition, end in ends.items())
