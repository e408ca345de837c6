"""Commands for a second terminal: Kafka's own console tools, Tidemill's, and curl."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dev.kafka.broker import Broker

EXAMPLE: Final = '{"text": "Grace Hopper taught at Yale.", "lang": "en", "uuid": "my-1"}'


def commands(broker: Broker, topics: tuple[str, str, str], url: str) -> dict[str, str]:
    """Return copy-paste commands by what they do; `url` is where the metrics are."""
    source, results, _ = topics
    tools = f"java -cp {shlex.quote(f'{broker.libs}/*')} org.apache.kafka.tools"
    server = f"--bootstrap-server {broker.bootstrap_servers}"
    consume = f"{tools}.consumer.ConsoleConsumer {server} --from-beginning"
    committed = "--isolation-level read_committed"
    tidemill = f"TIDEMILL__KAFKA__BOOTSTRAP_SERVERS={broker.bootstrap_servers} .venv/bin/tidemill"
    return {
        "send a message": (
            f"echo {shlex.quote(EXAMPLE)} | {tools}.ConsoleProducer {server} --topic {source}"
        ),
        "read the results": f"{consume} {committed} --topic {results}",
        "read the dead letters": f"{tidemill} dlq list",
        "see the lag": f"{tidemill} lag --watch",
        "the same, by Kafka's own tool": (
            f"{tools}.consumer.group.ConsumerGroupCommand {server} --describe --all-groups"
        ),
        "see whether the job is ready": f"curl {url}/readyz",
        "see the metrics": f"curl {url}/metrics",
        "make a topic": f"{tools}.TopicCommand {server} --create --topic my-topic --partitions 4",
    }
