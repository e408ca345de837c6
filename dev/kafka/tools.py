"""Write scripts for Kafka's command-line tools, as its distribution has them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from dev.kafka.distribution import java_command

if TYPE_CHECKING:
    from pathlib import Path

# The scripts of a Kafka distribution's bin/ folder, and the classes that they run.
TOOLS: Final = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs.sh": "org.apache.kafka.tools.ConfigCommand",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
}


def write_tools(libs: Path) -> Path:
    """Write a script for each tool into `bin`, beside the folder of Kafka's jars; return `bin`.

    Raises:
        JavaNotFound: There is no Java.

    """
    folder = libs.parent / "bin"
    folder.mkdir(exist_ok=True)
    for name, main_class in TOOLS.items():
        script = folder / name
        command = shlex.join(java_command(libs, main_class))
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        script.chmod(0o755)
    return folder
