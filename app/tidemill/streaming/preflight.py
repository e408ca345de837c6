"""What must be true of the topics before a message is read, so that none is lost later."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from tidemill.errors import InvalidTopics
from tidemill.kafka.connect import connect, kafka_errors
from tidemill.kafka.topics import AFTER, DEFAULTS, Topic
from tidemill.streaming import output_topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings

# A dead letter is its input and the added headers, which 64 KiB always hold.
ADDED_BYTES = 65_536
# Spark counts microseconds in 64 bits.
LATEST_TIMESTAMP = 2**63 // 1000


def check(kafka: KafkaSettings, stream: StreamSettings) -> tuple[dict[str, TopicLimits], list[str]]:
    """Ask the broker; return what the topics that the job writes take, and warnings.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.
        InvalidTopics: A topic is missing, or can never take what the job must write.

    """
    topics = describe(kafka, stream)
    if found := list(problems(topics, kafka, stream)):
        raise InvalidTopics(found)
    limits = {
        name: topic.limits(kafka.compression_type)
        for name, topic in _written(topics, stream).items()
    }
    return limits, list(warnings(topics, kafka, stream))


def describe(kafka: KafkaSettings, stream: StreamSettings) -> dict[str, Topic]:
    """Return the topics of the stream that these credentials may see.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.

    """
    with kafka_errors(kafka), closing(connect(KafkaAdminClient, kafka)) as admin:
        return _describe(admin, stream)


def _describe(admin: KafkaAdminClient, stream: StreamSettings) -> dict[str, Topic]:
    names = None if stream.input_pattern else [*stream.input_topics, *output_topics.names(stream)]
    partitions = {
        topic["name"]: len(topic["partitions"])
        for topic in admin.describe_topics(names)
        if not topic["error_code"]
    }
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(DEFAULTS))
        for name in {*inputs(partitions, stream), *output_topics.names(stream)} & set(partitions)
    ]
    described = admin.describe_configs(resources, config_filter="all") if resources else {}
    configs = described.get("topic", {})  # empty for a topic whose settings we may not read
    return {
        name: Topic(
            count,
            {
                setting: config["value"]
                for setting, config in configs.get(name, {}).items()
                if setting in DEFAULTS and config["value"] is not None
            },
        )
        for name, count in partitions.items()
    }


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
    for name in [
        *(() if stream.input_pattern else stream.input_topics),
        *output_topics.names(stream),
    ]:
        if name not in topics:
            own = name in output_topics.names(stream)
            room = f" --config max.message.bytes={_room(topics, sources)}" if own else ""
            way = "" if own else "take it out of stream.input_topics, or create it: "
            yield (
                f"there is no topic {name} (or no right to see it): {way}kafka-topics.sh "
                f"--bootstrap-server {kafka.bootstrap_servers} --create --topic {name} "
                f"--partitions {partitions or 4}{room}"
            )
    if stream.input_pattern is not None and not sources:
        yield f"no topic matches stream.input_pattern {stream.input_pattern!r}"
    for name in sorted(set(sources) & set(output_topics.names(stream))):
        yield f"stream.input_pattern matches {name}, which the job writes: an endless loop"
    yield from output_topics.problems(_written(topics, stream), kafka, stream)


def warnings(
    topics: Mapping[str, Topic], kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[str]:
    """Say what the operator should know and may want."""
    sources = inputs(topics, stream)
    partitions = sum(topics[name].partitions for name in sources)
    if stream.parallelism and stream.parallelism > partitions:
        yield (
            f"stream.parallelism {stream.parallelism} is more than the {partitions} partitions: "
            "messages with the same key may be answered out of order"
        )
    if free := [n for n in sources if topics[n].clock_limits.get(AFTER, 0) > LATEST_TIMESTAMP]:
        yield (
            f"{free} take records of any timestamp, and one beyond the year 294247 stops Spark's "
            f"Kafka source: set {AFTER} (Kafka 4 has 3600000) on them"
        )
    own = _written(topics, stream)
    if unread := [name for name in dict.fromkeys((*sources, *own)) if not topics[name].settings]:
        yield (
            f"not allowed to read the settings of {unread}: Kafka's defaults are assumed, such as "
            f"max.message.bytes={DEFAULTS['max.message.bytes']}, and a record that such a topic "
            "refuses all the same stops the job: give its user the permission DescribeConfigs"
        )
    yield from output_topics.warnings(own, _room(topics, sources), kafka, stream)


def _room(topics: Mapping[str, Topic], sources: Iterable[str]) -> int:
    """Return the bytes that hold the largest input as a dead letter."""
    default = int(DEFAULTS["max.message.bytes"])
    return max((topics[name].max_bytes for name in sources), default=default) + ADDED_BYTES


def _written(topics: Mapping[str, Topic], stream: StreamSettings) -> dict[str, Topic]:
    return {name: topics[name] for name in output_topics.names(stream) if name in topics}
