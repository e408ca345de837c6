"""Print commands for a second terminal: Kafka's tools, Tidemill's, and curl."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from dev import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from dev.kafka.broker import Broker

EXAMPLE: Final = '{"text": "Grace Hopper taught at Yale.", "lang": "en", "uuid": "my-1"}'


def show(console: Console, commands: Mapping[str, str]) -> None:
    """Print each command under its purpose, on one line that can be copied."""
    for purpose, command in commands.items():
        console.print(f"\n[bold]{purpose}[/]")
        console.print(command, markup=False, soft_wrap=True)


def broker_commands(broker: Broker, topics: tuple[str, str, str], tools: Path) -> dict[str, str]:
    """Return commands that need only the broker, by purpose; `tools` has Kafka's scripts."""
    source, _, _ = topics
    servers = broker.bootstrap_servers
    server = f"--bootstrap-server {servers}"
    return {
        "in each terminal, reach the broker": (
            f"export TIDEMILL__KAFKA__BOOTSTRAP_SERVERS={servers}"
        ),
        "in each terminal, use Kafka's tools and tidemill": (
            f'export PATH="{tools}:{ROOT / ".venv" / "bin"}:$PATH"'
        ),
        "make a topic": f"kafka-topics.sh {server} --create --topic my-topic --partitions 4",
        "send a message": (
            f"echo {shlex.quote(EXAMPLE)} | kafka-console-producer.sh {server} --topic {source}"
        ),
    }


def result_commands(broker: Broker, topics: tuple[str, str, str]) -> dict[str, str]:
    """Return commands that show what a job has written and what it has yet to read, by purpose."""
    _, results, _ = topics
    server = f"--bootstrap-server {broker.bootstrap_servers}"
    return {
        "read the results": (
            f"kafka-console-consumer.sh {server} --from-beginning "
            f"--isolation-level read_committed --topic {results}"
        ),
        "read the dead letters": "tidemill dlq list",
        "see the lag": "tidemill lag --watch",
        "see the lag with Kafka's own tool": (
            f"kafka-consumer-groups.sh {server} --describe --all-groups"
        ),
    }


def job_commands(url: str) -> dict[str, str]:
    """Return commands that need a running job, by purpose; `url` serves its metrics."""
    return {
        "see whether the job is ready": f"curl {url}/readyz",
        "see the metrics": f"curl {url}/metrics",
    }
