"""Topics as the broker describes them, and which of them the job reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kafka.admin import ConfigResource, ConfigResourceType

from tidemill.kafka.record_size import TopicLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kafka.admin import KafkaAdminClient

    from tidemill.settings import StreamSettings

AFTER, BEFORE = "message.timestamp.after.max.ms", "message.timestamp.before.max.ms"
# The settings that limit records, with Kafka's defaults for settings that cannot be read.
DEFAULTS = {
    "cleanup.policy": "delete",
    "compression.gzip.level": "-1",
    "compression.type": "producer",
    "compression.zstd.level": "3",
    "max.message.bytes": "1048588",
    AFTER: "3600000",
    BEFORE: str(2**63 - 1),
    "message.timestamp.type": "CreateTime",
    "segment.bytes": str(2**30),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's number of partitions and its settings by Kafka's names, if they are readable.

    An internal topic belongs to Kafka, such as `__consumer_offsets`.
    """

    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)
    is_internal: bool = False

    def text(self, setting: str) -> str:
        """Return a setting, or Kafka's default."""
        return self.settings.get(setting, DEFAULTS[setting])

    def number(self, setting: str) -> int:
        """Return a numeric setting, or Kafka's default."""
        return int(self.text(setting))

    @property
    def bound(self) -> str:
        """The setting that limits a batch of records, which must also fit into a segment."""
        return min(("max.message.bytes", "segment.bytes"), key=self.number)

    @property
    def max_bytes(self) -> int:
        """The largest compressed batch of records, in bytes."""
        return self.number(self.bound)

    @property
    def compacted(self) -> bool:
        """Whether the topic keeps the latest record of each key, and requires keys."""
        return "compact" in self.text("cleanup.policy")

    @property
    def clock_limits(self) -> dict[str, int]:
        """How far a record's timestamp may be from the broker's time, each way, in milliseconds."""
        if self.text("message.timestamp.type") != "CreateTime":
            return {}
        return {setting: self.number(setting) for setting in (BEFORE, AFTER)}

    def limits(self, compression: str) -> TopicLimits:
        """Return the topic's limits for records of a producer with this compression.

        The broker recompresses only if the codecs differ, not if only their levels do.
        """
        codec = self.text("compression.type")
        codecs: list[tuple[str, int | None]] = [(compression, None)]
        if codec == "uncompressed":
            codecs.append(("none", None))
        elif codec not in {"producer", compression}:
            level = f"compression.{codec}.level"
            own = self.settings.get(level, "")
            codecs.append((codec, int(own) if own and own != DEFAULTS.get(level) else None))
        return TopicLimits(self.max_bytes, tuple(codecs), needs_key=self.compacted)


def describe(admin: KafkaAdminClient, names: Iterable[str] | None = None) -> dict[str, Topic]:
    """Return those of the topics that exist and are visible, without their settings.

    Without names, describe every topic.
    """
    return {
        topic["name"]: Topic(len(topic["partitions"]), is_internal=topic["is_internal"])
        for topic in admin.describe_topics(None if names is None else list(names))
        if not topic["error_code"]
    }


def with_settings(admin: KafkaAdminClient, topics: Mapping[str, Topic]) -> dict[str, Topic]:
    """Return the topics with those of their settings that are readable."""
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(DEFAULTS)) for name in topics
    ]
    described = admin.describe_configs(resources, config_filter="all") if resources else {}
    configs = described.get("topic", {})  # missing if the job may not read a topic's settings
    return {
        name: replace(
            topic,
            settings={
                setting: config["value"]
                for setting, config in configs.get(name, {}).items()
                if setting in DEFAULTS and config["value"] is not None
            },
        )
        for name, topic in topics.items()
    }


def is_input(stream: StreamSettings, name: str, topic: Topic | None = None) -> bool:
    """Return whether the job reads a topic, which need not exist.

    As in Spark, a pattern must match the whole name, and matches no internal topic. It may match a
    topic that the job writes; then the job does not start.
    """
    if stream.input_pattern is None:
        return name in stream.input_topics
    is_internal = topic is not None and topic.is_internal
    return not is_internal and re.fullmatch(stream.input_pattern, name) is not None


def inputs(topics: Mapping[str, Topic], stream: StreamSettings) -> list[str]:
    """Return the names of those of the topics that the job reads."""
    names = topics if stream.input_pattern else dict.fromkeys(stream.input_topics)
    return [name for name in names if name in topics and is_input(stream, name, topics[name])]
