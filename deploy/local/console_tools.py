"""Commands for a second terminal, made of Kafka's own console tools."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from deploy.local.broker import Broker

EXAMPLE: Final = '{"text": "Grace Hopper taught at Yale.", "lang": "en", "uuid": "my-1"}'


def commands(broker: Broker, topics: tuple[str, str, str], group: str) -> dict[str, str]:
    """Return copy-paste commands by what they do."""
    source, results, dead_letters = topics
    tools = f"java -cp {shlex.quote(f'{broker.libs}/*')} org.apache.kafka.tools"
    server = f"--bootstrap-server {broker.bootstrap_servers}"
    consume = f"{tools}.consumer.ConsoleConsumer {server} --from-beginning"
    committed = "--isolation-level read_committed"
    headers = "--formatter-property print.headers=true"
    return {
        "send a message": (
            f"echo {shlex.quote(EXAMPLE)} | {tools}.ConsoleProducer {server} --topic {source}"
        ),
        "read the results": f"{consume} {committed} --topic {results}",
        "read the dead letters": f"{consume} {committed} {headers} --topic {dead_letters}",
        "see the lag": (
            f"{tools}.consumer.group.ConsumerGroupCommand {server} --describe --group {group}"
        ),
    }
