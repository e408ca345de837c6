"""Check that the output and dead-letter topics accept what the job writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors import Problem
from tidemill.kafka.topics import AFTER, BEFORE, DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidemill.kafka.topics import Topic
    from tidemill.settings import KafkaSettings, StreamSettings

# Fits a dead letter without its message: names, and at most 1 KiB each of error and model.
MIN_DEAD_LETTER_BYTES = 4096
# A record's age when it arrives at the broker: even a fast write may take up to the first value,
# and the producer gives up after the second.
NORMAL_AGE_MS, MAX_AGE_MS = 1000, 120_000


def names(stream: StreamSettings) -> tuple[str, str]:
    """Return the names of the output topic and the dead-letter topic."""
    return stream.output_topic, stream.dead_letter_topic


def problems(
    topics: Mapping[str, Topic], kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[Problem]:
    """Describe topic settings that the job cannot work with, and how to change them."""
    if topic := topics.get(name := stream.dead_letter_topic):
        if topic.compacted:
            yield Problem(
                f"{name} is compacted, so a dead letter would replace an older one with the same "
                "key, and a dead letter without a key would be refused",
                _alter(kafka, name, "cleanup.policy=delete"),
            )
        if topic.max_bytes < MIN_DEAD_LETTER_BYTES:
            setting = f"{topic.bound}={DEFAULTS[topic.bound]}"
            yield Problem(
                f"{topic.bound} of {name} is {topic.max_bytes}, but a dead letter needs up to "
                f"{MIN_DEAD_LETTER_BYTES} bytes even without its message",
                _alter(kafka, name, setting),
            )
    for name, topic in topics.items():
        if (limit := topic.clock_limits.get(BEFORE, NORMAL_AGE_MS)) < NORMAL_AGE_MS:
            yield Problem(
                f"{BEFORE} of {name} is {limit}, but a record may arrive at a greater age",
                _alter(kafka, name, "message.timestamp.type=LogAppendTime"),
            )


def warnings(
    topics: Mapping[str, Topic], needed: int, kafka: KafkaSettings, stream: StreamSettings
) -> Iterator[str]:
    """Describe topic settings that affect some records.

    The largest input fits into a dead letter of `needed` bytes.
    """
    readable = {name: topic for name, topic in topics.items() if topic.settings}
    if small := [name for name, topic in readable.items() if topic.max_bytes < needed]:
        yield (
            f"{' and '.join(small)} may be too small for results and dead letters of the largest "
            "messages: a result that is too large becomes a dead letter, and a dead letter that is "
            "too large has no body. To raise the limit of each topic: "
            f"{_alter(kafka, small[-1], f'max.message.bytes={needed}')}"
        )
    if (output := topics.get(stream.output_topic)) and output.compacted:
        yield (
            f"{stream.output_topic} is compacted: it keeps only the latest result of each key, "
            "and a message without a key becomes a dead letter (KeyRequired)"
        )
    for name, topic in topics.items():
        for setting in (BEFORE, AFTER):
            if (limit := topic.clock_limits.get(setting, MAX_AGE_MS)) < MAX_AGE_MS:
                yield (
                    f"{setting} of {name} is {limit}: a longer write, or a clock that is off by "
                    "more, stops the job until it is restarted. To avoid that: "
                    f"{_alter(kafka, name, 'message.timestamp.type=LogAppendTime')}"
                )


def _alter(kafka: KafkaSettings, name: str, setting: str) -> str:
    return (
        f"kafka-configs.sh --bootstrap-server {kafka.bootstrap_servers} --alter --topic {name} "
        f"--add-config {setting}"
    )
