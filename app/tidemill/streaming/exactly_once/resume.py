"""Decide from which offset to resume each partition (pure)."""

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
from tidemill.streaming import starting_offsets

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.kafka.lag import PartitionLag
    from tidemill.settings import StreamSettings
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition
    from tidemill.streaming.progress import Offsets
    from tidemill.streaming.start_state import StartState


def resume_offsets(
    state: StartState,
    stream: StreamSettings,
    has_record: Callable[[TopicPartition, int, int], bool],
) -> Offsets:
    """Return the offset at which each partition resumes: the group's offset, if it has one.

    `has_record` returns whether a record exists from one offset up to, excluding, another.

    Raises:
        ConfigurationError: Resuming would lose messages, or process some twice; or
            `starting_offsets` does not fit the topics.
        DataLoss: Kafka has deleted unprocessed messages.

    """
    exactly_once = stream.delivery == "exactly-once"
    checkpoint_used = state.offset_log.is_used
    if checkpoint_used and state.committed and exactly_once != bool(state.runs):
        raise DeliveryModeChanged(stream.checkpoint_location, stream.delivery)
    # With at-least-once the group only informs lag tools, unless an exactly-once run committed.
    group = state.committed if exactly_once or state.runs else {}
    configured = {}
    if not checkpoint_used and not group:
        configured = starting_offsets.resolve(
            stream, state.partitions, strict=state.checkpoint_readable
        )
    offsets = {}
    for p in state.partitions:
        partition = p.topic, p.partition
        committed = group.get(partition)
        if exactly_once:
            _check_consistent(p, committed, state, has_record)
            deleted = committed and not checkpoint_used and committed.offset < p.begin
            if deleted and stream.fail_on_data_loss:
                raise DataLoss(stream.checkpoint_location)
        elif (
            state.offset_log.start.get(partition, 0) > p.end + p.held_back
            and p.topic not in state.topic_record.ids
        ):
            raise TopicRecreated(p.topic)
        offsets[partition] = committed.offset if committed else configured.get(partition, p.begin)
        if checkpoint_used and not committed:
            offsets[partition] = state.offset_log.start.get(partition, p.begin)
    return offsets


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
