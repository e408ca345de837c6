"""Decide whether an exactly-once job can resume at the group's offsets (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors import (
    DataLoss,
    DeliveryModeChanged,
    GroupBehindCheckpoint,
    GroupOffsetLost,
    GroupOffsetsChanged,
    TopicRecreated,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.kafka.lag import PartitionLag
    from tidemill.settings import StreamSettings
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition
    from tidemill.streaming.start_state import StartState


def group_offsets(
    state: StartState,
    stream: StreamSettings,
    has_record: Callable[[TopicPartition, int, int], bool],
) -> dict[TopicPartition, CommittedOffset]:
    """Return the group's offsets, at which the job resumes.

    `has_record` returns whether a record exists from one offset up to, excluding, another.

    Raises:
        ConfigurationError: Resuming would lose messages, or process some twice.
        DataLoss: Kafka has deleted unprocessed messages.

    """
    checkpoint_used = state.offset_log.is_used
    if checkpoint_used and state.committed and not state.runs:
        raise DeliveryModeChanged(stream.checkpoint_location, stream.delivery)
    for p in state.partitions:
        committed = state.committed.get((p.topic, p.partition))
        _check_consistent(p, committed, state, has_record)
        deleted = committed and not checkpoint_used and committed.offset < p.begin
        if deleted and stream.fail_on_data_loss:
            raise DataLoss(stream.checkpoint_location)
    return state.committed


def _check_consistent(
    p: PartitionLag,
    committed: CommittedOffset | None,
    state: StartState,
    has_record: Callable[[TopicPartition, int, int], bool],
) -> None:
    """Refuse a partition whose group offset, topic and checkpoint contradict each other."""
    partition = p.topic, p.partition
    checkpointed = state.offset_log.start.get(partition, 0)
    if committed is None:
        if checkpointed > p.end + p.held_back:
            raise TopicRecreated(p.topic)
        if p.begin < checkpointed and has_record(partition, p.begin, checkpointed):
            raise GroupOffsetLost(partition)
        return
    same_topic = committed.topic_id in {None, state.topic_ids.get(p.topic)}
    if not same_topic or committed.offset > p.end + p.held_back:
        raise TopicRecreated(p.topic)
    if state.offset_log.is_used and committed.run is None:
        raise GroupOffsetsChanged(partition, committed.offset)
    first = max(p.begin, committed.offset)
    if first < checkpointed and has_record(partition, first, checkpointed):
        raise GroupBehindCheckpoint(partition, committed.offset, checkpointed)
