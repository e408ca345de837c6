"""What must be true of the topics before a message is read, so that none is lost later."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from app.connection import python_options
from app.errors import BrokerUnreachable, TopicsUnfit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.settings import KafkaSettings, StreamSettings

# A dead letter is its input and the added headers, which 64 KiB always hold.
ADDED_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's number of partitions and its `max.message.bytes` (None: we may not ask)."""

    partitions: int
    max_message_bytes: int | None


def check(kafka: KafkaSettings, stream: StreamSettings) -> list[str]:
    """Ask the broker; return warnings.

    Raises:
        BrokerUnreachable: It does not answer, or refuses the credentials.
        TopicsUnfit: A topic is missing, or too small for what may be sent to it.

    """
    topics = describe(kafka)
    if found := list(problems(topics, kafka, stream)):
        raise TopicsUnfit(found)
    return list(warnings(topics, stream))


def describe(kafka: KafkaSettings) -> dict[str, Topic]:
    """Return every topic that these credentials may see.

    Raises:
        BrokerUnreachable: The broker does not answer, or refuses the credentials.

    """
    try:
        admin = KafkaAdminClient(
            **python_options(kafka), request_timeout_ms=15_000, bootstrap_timeout_ms=10_000
        )
        with closing(admin):
            partitions = {
                topic["name"]: len(topic["partitions"])
                for topic in admin.describe_topics()
                if not topic["error_code"]
            }
            configs = _max_message_bytes(admin, partitions)
    except (KafkaError, OSError) as error:
        raise BrokerUnreachable(kafka.bootstrap_servers, error) from error
    return {name: Topic(count, configs.get(name)) for name, count in partitions.items()}


def _max_message_bytes(admin: KafkaAdminClient, topics: Mapping[str, int]) -> dict[str, int]:
    key = "max.message.bytes"
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, {key: None}) for name in topics]
    if not resources:
        return {}
    try:
        described = admin.describe_configs(resources, config_filter="all")
    except KafkaError:
        return {}  # not allowed to ask: the sizes go unchecked, and a warning says so
    return {
        name: int(config[key]["value"])
        for name, config in described.get("topic", {}).items()
        if config.get(key)
    }


def inputs(topics: Mapping[str, Topic], stream: StreamSettings) -> list[str]:
    """Return the names of the input topics that exist."""
    if stream.input_pattern is None:
        return [name for name in stream.input_topics if name in topics]
    return [name for name in topics if re.fullmatch(stream.input_pattern, name)]


def problems(
    topics: Mapping[str, Topic], kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[str]:
    """Say what would stop the job or lose a message, and what to do."""
    for name in [*(() if stream.input_pattern else stream.input_topics), *_own(stream)]:
        if name not in topics:
            yield f"there is no topic {name} (or no right to see it): create it"
    sources = inputs(topics, stream)
    if stream.input_pattern is not None and not sources:
        yield f"no topic matches stream.input_pattern {stream.input_pattern!r}"
    for name in sorted(set(sources) & set(_own(stream))):
        yield f"stream.input_pattern matches {name}, which the job writes: an endless loop"

    largest = max((topics[name].max_message_bytes or 0 for name in sources), default=0)
    needed = largest + ADDED_BYTES
    if largest and kafka.max_request_size < needed:
        yield (
            f"kafka.max_request_size is {kafka.max_request_size}, but an input may take {largest} "
            f"bytes: set it to {needed} or more"
        )
    floors = {stream.dead_letter_topic: needed, stream.output_topic: kafka.max_request_size}
    for name, floor in floors.items():
        limit = topics[name].max_message_bytes if name in topics else None
        if limit is not None and limit < floor:
            yield (
                f"max.message.bytes of {name} is {limit}, but a record for it may take {floor} "
                f"bytes: kafka-configs.sh --bootstrap-server {kafka.bootstrap_servers} --alter "
                f"--topic {name} --add-config max.message.bytes={floor}"
            )


def warnings(topics: Mapping[str, Topic], stream: StreamSettings) -> Iterator[str]:
    """Say what the operator should know and may want."""
    sources = inputs(topics, stream)
    partitions = sum(topics[name].partitions for name in sources)
    if stream.parallelism and stream.parallelism > partitions:
        yield (
            f"stream.parallelism {stream.parallelism} is more than the {partitions} partitions: "
            "messages with the same key may be answered out of order"
        )
    known = [name for name in (*sources, *_own(stream)) if name in topics]
    if unseen := [name for name in known if topics[name].max_message_bytes is None]:
        yield f"not allowed to read max.message.bytes of {unseen}: sizes are not checked"


def _own(stream: StreamSettings) -> tuple[str, str]:
    return stream.output_topic, stream.dead_letter_topic
