"""A topic as the broker describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.kafka.record_size import TopicLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

AFTER, BEFORE = "message.timestamp.after.max.ms", "message.timestamp.before.max.ms"
# The settings that a record must satisfy, with Kafka's own values for what cannot be read.
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
    """A topic's number of partitions and its settings by Kafka's names; none if unreadable."""

    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)

    def text(self, setting: str) -> str:
        """Return a setting, by default Kafka's own."""
        return self.settings.get(setting, DEFAULTS[setting])

    def number(self, setting: str) -> int:
        """Return a setting that is a number."""
        return int(self.text(setting))

    @property
    def bound(self) -> str:
        """The setting that bounds a batch of records: it must also fit into a segment."""
        return min(("max.message.bytes", "segment.bytes"), key=self.number)

    @property
    def max_bytes(self) -> int:
        """The most bytes of a batch of records, compressed."""
        return self.number(self.bound)

    @property
    def compacted(self) -> bool:
        """Whether the topic keeps the latest record of each key only, and so refuses others."""
        return "compact" in self.text("cleanup.policy")

    @property
    def clock_limits(self) -> dict[str, int]:
        """How many milliseconds a record's own time may be away from the broker's, each way."""
        if self.text("message.timestamp.type") != "CreateTime":
            return {}
        return {setting: self.number(setting) for setting in (BEFORE, AFTER)}

    def limits(self, compression: str) -> TopicLimits:
        """Return what the topic asks of a record that a producer with a compression sends.

        The broker compresses anew only if the codecs differ; a level alone changes nothing.
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
