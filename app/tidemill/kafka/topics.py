"""A topic and its settings, as the broker describes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.kafka.record_size import TopicLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """A topic's number of partitions and its settings by Kafka's names, if they are readable."""

    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)

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
