"""What a start of the job knows before it changes anything (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.streaming.checkpoint.offset_log import OffsetLog
from tidemill.streaming.checkpoint.topic_record import TopicRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.kafka.lag import PartitionLag
    from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch, TopicPartition


@dataclass(frozen=True, slots=True)
class StartState:
    """The input partitions, and what the consumer group and the checkpoint record about them.

    Attributes:
        partitions: The partitions of the input topics.
        committed: The group's offsets.
        topic_ids: The ids of the topics that exist now.
        offset_log: The checkpoint's offsets.
        topic_record: What the checkpoint's last run knew of its topics.
        shrunk: Topics with fewer partitions than the checkpoint, so they were recreated.
        checkpoint_readable: False if the checkpoint cannot be read, so it may be new or not.

    """

    partitions: Sequence[PartitionLag]
    committed: dict[TopicPartition, CommittedOffset]
    topic_ids: dict[str, str]
    offset_log: OffsetLog = field(default_factory=OffsetLog)
    topic_record: TopicRecord = field(default_factory=TopicRecord)
    shrunk: frozenset[str] = frozenset()
    checkpoint_readable: bool = True

    @property
    def runs(self) -> list[RunEpoch]:
        """Return the exactly-once runs that committed the group's offsets."""
        return [offset.run for offset in self.committed.values() if offset.run]

    def is_same_topic(self, topic: str) -> bool:
        """Return whether a topic may still be the one that the checkpoint's offsets refer to."""
        known = self.topic_record.ids.get(topic)
        return topic not in self.shrunk and known in {None, self.topic_ids.get(topic)}

    def topic_exists(self, topic: str) -> bool:
        """Return whether a topic of the checkpoint still exists and was not recreated."""
        return topic in self.topic_ids and self.is_same_topic(topic)

    def processed_up_to(self, partition: TopicPartition) -> int:
        """Return the offset before which all messages of a partition are known to be processed."""
        committed = self.committed.get(partition)
        if committed and committed.run:
            return committed.offset
        return self.offset_log.start.get(partition, 0)
