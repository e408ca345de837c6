"""Show the consumer group's lag, first with Tidemill and then with Kafka's own tool."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from rich.live import Live

from dev.demo.screen import kafkas_lag_table
from tidemill.kafka.lag_reader import LagReader
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.terminal.lag_table import lag_table

if TYPE_CHECKING:
    from rich.console import Console

    from dev.kafka.broker import Broker

CONSUMER_GROUPS: Final = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
COMMIT_TIMEOUT_S: Final = 20.0


def lag_reader(broker: Broker) -> LagReader:
    """Return a lag reader with the shipped settings, on the demo's broker."""
    return LagReader(KafkaSettings(bootstrap_servers=broker.bootstrap_servers), StreamSettings())


def show_lag(console: Console, broker: Broker) -> None:
    """Show the lag as `tidemill lag` does until it is 0; then show Kafka's own tool."""
    group = StreamSettings().group_id
    deadline = time.monotonic() + COMMIT_TIMEOUT_S
    with closing(lag_reader(broker)) as reader:
        first = now = reader.read(time.time(), ages=True)
        with Live(lag_table(group, now), console=console) as live:
            while (
                any(partition.lag for partition in now.partitions) and time.monotonic() < deadline
            ):
                time.sleep(0.3)
                now = reader.read(time.time(), ages=True)
                live.update(lag_table(group, now, first))
    if not console.is_terminal:
        console.line()  # outside a terminal Live does not end the line
    arguments = ("--bootstrap-server", broker.bootstrap_servers, "--describe", "--group", group)
    console.print(kafkas_lag_table(broker.tool(CONSUMER_GROUPS, *arguments).stdout))
