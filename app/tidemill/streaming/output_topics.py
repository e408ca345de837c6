"""What the topics that the job writes must take: what makes that impossible, what narrows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.kafka.topics import AFTER, BEFORE, DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidemill.kafka.topics import Topic
    from tidemill.settings import KafkaSettings, StreamSettings

# A dead letter without its message: names, and at most 1 KiB each of error and model.
LEAST_BYTES = 4096
# The job's records bear the time at which they were made. In milliseconds: how old they are at
# least when they arrive, and at most, before the producer gives up.
UNDER_WAY, GIVEN_UP = 1000, 120_000


def names(stream: StreamSettings) -> tuple[str, str]:
    """Return the names of the topics that the job writes."""
    return stream.output_topic, stream.dead_letter_topic


def problems(
    topics: Mapping[str, Topic], kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[str]:
    """Say which settings keep a topic from taking what the job must write, and what to do."""
    if topic := topics.get(name := stream.dead_letter_topic):
        if topic.compacted:
            yield (
                f"{name} is compacted: a dead letter would replace an older one with its key, and "
                f"none could be without a key: {_alter(kafka, name, 'cleanup.policy=delete')}"
            )
        if topic.max_bytes < LEAST_BYTES:
            setting = f"{topic.bound}={DEFAULTS[topic.bound]}"
            yield (
                f"{topic.bound} of {name} is {topic.max_bytes}, but a dead letter takes up to "
                f"{LEAST_BYTES} bytes even without its message: {_alter(kafka, name, setting)}"
            )
    for name, topic in topics.items():
        if (limit := topic.clock_limits.get(BEFORE, UNDER_WAY)) < UNDER_WAY:
            yield (
                f"{BEFORE} of {name} is {limit}, and a record may be older when it arrives: "
                f"{_alter(kafka, name, 'message.timestamp.type=LogAppendTime')}"
            )


def warnings(
    topics: Mapping[str, Topic], needed: int, kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[str]:
    """Say what becomes of some records; `needed` bytes hold the largest input as a dead letter."""
    read = {name: topic for name, topic in topics.items() if topic.settings}
    if small := [name for name, topic in read.items() if topic.max_bytes < needed]:
        yield (
            f"{' and '.join(small)} may be too small for results and dead letters of the largest "
            "messages: a result that does not fit becomes a dead letter, and a dead letter that "
            "does not fit has no body. For more room, for each of them: "
            f"{_alter(kafka, small[-1], f'max.message.bytes={needed}')}"
        )
    if (output := topics.get(stream.output_topic)) and output.compacted:
        yield (
            f"{stream.output_topic} is compacted: it keeps the latest result of each key, and a "
            "message without a key becomes a dead letter (KeyRequired)"
        )
    for name, topic in topics.items():
        for setting in (BEFORE, AFTER):
            if (limit := topic.clock_limits.get(setting, GIVEN_UP)) < GIVEN_UP:
                yield (
                    f"{setting} of {name} is {limit}: a slow write, or a clock that is wrong by as "
                    "much, stops the job until its restart. To avoid that: "
                    f"{_alter(kafka, name, 'message.timestamp.type=LogAppendTime')}"
                )


def _alter(kafka: KafkaSettings, name: str, setting: str) -> str:
    return (
        f"kafka-configs.sh --bootstrap-server {kafka.bootstrap_servers} --alter --topic {name} "
        f"--add-config {setting}"
    )
