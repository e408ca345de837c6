"""What must be true of the topics before a message is read, so that none is lost later."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from app.errors import TopicsUnfit
from app.reach import connect, reaching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from app.settings import KafkaSettings, StreamSettings

# A dead letter is its input and the added headers, which 64 KiB always hold.
ADDED_BYTES = 65_536
# Spark counts microseconds in 64 bits.
LATEST_TIMESTAMP = 2**63 // 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's number of partitions and two of its limits (None: we may not ask).

    `max_message_bytes` counts a batch as its producer compressed it; `timestamp_after_max` is how
    many milliseconds a producer's timestamp may lie ahead of the broker's clock.
    """

    partitions: int
    max_message_bytes: int | None
    timestamp_after_max: int | None = 3_600_000


def check(kafka: KafkaSettings, stream: StreamSettings) -> list[str]:
    """Ask the broker; return warnings.

    Raises:
        AccessRefused: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.
        TopicsUnfit: A topic is missing, or too small for what may be sent to it.

    """
    topics = describe(kafka, stream)
    if found := list(problems(topics, kafka, stream)):
        raise TopicsUnfit(found)
    return list(warnings(topics, stream))


def describe(kafka: KafkaSettings, stream: StreamSettings) -> dict[str, Topic]:
    """Return the topics of the stream that these credentials may see.

    Raises:
        AccessRefused: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.

    """
    with reaching(kafka), closing(connect(KafkaAdminClient, kafka)) as admin:
        return _describe(admin, stream)


def _describe(admin: KafkaAdminClient, stream: StreamSettings) -> dict[str, Topic]:
    names = None if stream.input_pattern else [*stream.input_topics, *_own(stream)]
    partitions = {
        topic["name"]: len(topic["partitions"])
        for topic in admin.describe_topics(names)
        if not topic["error_code"]
    }
    keys = ("max.message.bytes", "message.timestamp.after.max.ms")
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(keys))
        for name in {*inputs(partitions, stream), *_own(stream)} & set(partitions)
    ]
    try:
        described = admin.describe_configs(resources, config_filter="all") if resources else {}
    except KafkaError:
        described = {}  # not allowed to ask: the limits go unchecked, and a warning says so
    configs = described.get("topic", {})
    return {
        name: Topic(count, *(_number(configs.get(name, {}), key) for key in keys))
        for name, count in partitions.items()
    }


def _number(config: Mapping[str, Any], key: str) -> int | None:
    return int(config[key]["value"]) if config.get(key) else None


def inputs(topics: Iterable[str], stream: StreamSettings) -> list[str]:
    """Return the names of the input topics that exist."""
    if stream.input_pattern is None:
        return [name for name in stream.input_topics if name in topics]
    return [name for name in topics if re.fullmatch(stream.input_pattern, name)]


def problems(
    topics: Mapping[str, Topic], kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[str]:
    """Say what would stop the job or lose a message, and what to do."""
    sources = inputs(topics, stream)
    partitions = sum(topics[name].partitions for name in sources)
    largest = max((topics[name].max_message_bytes or 0 for name in sources), default=0)
    needed = largest + ADDED_BYTES
    floor = max(kafka.max_request_size, needed)
    for name in [*(() if stream.input_pattern else stream.input_topics), *_own(stream)]:
        if name not in topics:
            room = f" --config max.message.bytes={floor}" if name in _own(stream) else ""
            yield (
                f"there is no topic {name} (or no right to see it): kafka-topics.sh "
                f"--bootstrap-server {kafka.bootstrap_servers} --create --topic {name} "
                f"--partitions {partitions or 4}{room}"
            )
    if stream.input_pattern is not None and not sources:
        yield f"no topic matches stream.input_pattern {stream.input_pattern!r}"
    for name in sorted(set(sources) & set(_own(stream))):
        yield f"stream.input_pattern matches {name}, which the job writes: an endless loop"

    if largest and kafka.max_request_size < needed:
        yield (
            f"kafka.max_request_size is {kafka.max_request_size}, but an input may take {largest} "
            f"bytes: set it to {needed} or more"
        )
    for name in _own(stream):
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
    if free := [n for n in sources if (topics[n].timestamp_after_max or 0) > LATEST_TIMESTAMP]:
        yield (
            f"{free} take records of any timestamp, and one beyond the year 294247 stops Spark's "
            "Kafka source: set message.timestamp.after.max.ms (Kafka 4 has 3600000) on them"
        )
    known = [name for name in (*sources, *_own(stream)) if name in topics]
    if unseen := [name for name in known if topics[name].max_message_bytes is None]:
        yield f"not allowed to read max.message.bytes of {unseen}: sizes are not checked"


def _own(stream: StreamSettings) -> tuple[str, str]:
    return stream.output_topic, stream.dead_letter_topic
