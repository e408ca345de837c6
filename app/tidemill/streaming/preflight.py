"""Check the topics before the job reads a message, so that it loses none."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from kafka.admin import KafkaAdminClient

from tidemill.errors import InvalidTopics, Problem
from tidemill.kafka import topics as kafka_topics
from tidemill.kafka.connect import connect
from tidemill.kafka.failures import kafka_errors
from tidemill.kafka.topics import AFTER, DEFAULTS, inputs
from tidemill.streaming import output_topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tidemill.kafka.record_size import TopicLimits
    from tidemill.kafka.topics import Topic
    from tidemill.settings import KafkaSettings, StreamSettings

# A dead letter is its input plus headers, which always fit into 64 KiB.
ADDED_BYTES = 65_536
# Spark stores microseconds in 64 bits.
MAX_TIMESTAMP_MS = 2**63 // 1000


def check(kafka: KafkaSettings, stream: StreamSettings) -> tuple[dict[str, TopicLimits], list[str]]:
    """Read the topics from the broker; return the output topics' limits, and warnings.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.
        InvalidTopics: A topic is missing, or cannot accept what the job writes.

    """
    topics = describe(kafka, stream)
    if errors := list(problems(topics, kafka, stream)):
        raise InvalidTopics(errors)
    limits = {
        name: topic.limits(kafka.compression_type)
        for name, topic in _output_topics(topics, stream).items()
    }
    return limits, list(warnings(topics, kafka, stream))


def describe(kafka: KafkaSettings, stream: StreamSettings) -> dict[str, Topic]:
    """Return the job's topics, as far as its credentials may see them.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.

    """
    with kafka_errors(kafka), closing(connect(KafkaAdminClient, kafka)) as admin:
        names = [*stream.input_topics, *output_topics.names(stream)]
        topics = kafka_topics.describe(admin, None if stream.input_pattern else names)
        own = {*inputs(topics, stream), *output_topics.names(stream)}
        own_topics = {name: topic for name, topic in topics.items() if name in own}
        return topics | kafka_topics.with_settings(admin, own_topics)


def problems(
    topics: Mapping[str, Topic], kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[Problem]:
    """Describe what would stop the job or lose a message, and how to fix it."""
    sources = inputs(topics, stream)
    partitions = sum(topics[name].partitions for name in sources)
    for name in [
        *(() if stream.input_pattern else stream.input_topics),
        *output_topics.names(stream),
    ]:
        if name not in topics:
            config = ""
            if name in output_topics.names(stream):
                config = f" --config max.message.bytes={_required_bytes(topics, sources)}"
            yield Problem(
                f"there is no topic {name} (or no permission to see it)",
                f"kafka-topics.sh --bootstrap-server {kafka.bootstrap_servers} --create "
                f"--topic {name} --partitions {partitions or 4}{config}",
            )
    if stream.input_pattern is not None and not sources:
        yield Problem(f"no topic matches stream.input_pattern {stream.input_pattern!r}")
    for name in sorted(set(sources) & set(output_topics.names(stream))):
        yield Problem(f"stream.input_pattern matches {name}, which the job writes: an endless loop")
    yield from output_topics.problems(_output_topics(topics, stream), kafka, stream)


def warnings(
    topics: Mapping[str, Topic], kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[str]:
    """Describe what works but may be unintended."""
    sources = inputs(topics, stream)
    partitions = sum(topics[name].partitions for name in sources)
    if stream.parallelism and stream.parallelism > partitions:
        yield (
            f"stream.parallelism {stream.parallelism} is more than the {partitions} partitions: "
            "messages with the same key may be processed out of order"
        )
    if unlimited := [n for n in sources if topics[n].clock_limits.get(AFTER, 0) > MAX_TIMESTAMP_MS]:
        yield (
            f"{unlimited} accept records with any timestamp, and one beyond the year 294247 stops "
            f"Spark's Kafka source: set {AFTER} on them (3600000 is Kafka 4's default)"
        )
    outputs = _output_topics(topics, stream)
    names = dict.fromkeys((*sources, *outputs))
    if unreadable := [name for name in names if not topics[name].settings]:
        yield (
            f"not allowed to read the settings of {unreadable}, so the job assumes Kafka's "
            f"defaults, such as max.message.bytes={DEFAULTS['max.message.bytes']}. A record that "
            "such a topic refuses stops the job: grant its user the permission DescribeConfigs"
        )
    yield from output_topics.warnings(outputs, _required_bytes(topics, sources), kafka, stream)


def _required_bytes(topics: Mapping[str, Topic], sources: Iterable[str]) -> int:
    """Return the size of the largest dead letter: the largest input plus headers."""
    default = int(DEFAULTS["max.message.bytes"])
    return max((topics[name].max_bytes for name in sources), default=default) + ADDED_BYTES


def _output_topics(topics: Mapping[str, Topic], stream: StreamSettings) -> dict[str, Topic]:
    return {name: topics[name] for name in output_topics.names(stream) if name in topics}
