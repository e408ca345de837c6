"""Decide how a checkpoint follows partitions that join or leave the inputs (pure).

Spark stops if a partition of its checkpoint is gone, or if a new partition does not begin at
offset 0. By then it has planned the next micro-batch without the partition, and no later start can
repair that. So a start compares first, and rewrites the offsets that Spark starts from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.errors import InputTopicRemoved, TopicRecreated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.streaming.exactly_once.position import TopicPartition
    from tidemill.streaming.progress import Offsets
    from tidemill.streaming.start_state import StartState

MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class InputChanges:
    """The offsets that the checkpoint must contain for Spark to continue.

    Attributes:
        start: Where the next micro-batch starts.
        planned: Where it ends, if it is planned.
        removed: Partitions that are no longer read, and the offset up to which they are processed.
        given_up: Those of them that have unprocessed messages.

    """

    start: Offsets
    planned: Offsets
    removed: Offsets
    given_up: frozenset[TopicPartition]


def compare(
    state: StartState,
    *,
    accept_loss: bool,
    has_record: Callable[[TopicPartition, int, int], bool],
) -> InputChanges:
    """Compare the partitions of a checkpoint with those that the job reads now.

    `has_record` returns whether a record exists from one offset up to, excluding, another.

    Raises:
        TopicRecreated: The checkpoint's offsets refer to an earlier topic of the same name.
        InputTopicRemoved: A topic is no longer read, has unprocessed messages, and `accept_loss` is
            false.

    """
    log = state.offset_log
    inputs = {(p.topic, p.partition): p for p in state.partitions}
    checkpointed = log.start.keys() | log.planned.keys()
    for topic in sorted({topic for topic, _ in checkpointed & inputs.keys()}):
        if not state.is_same_topic(topic):
            raise TopicRecreated(topic)
    removed = {tp: state.processed_up_to(tp) for tp in sorted(checkpointed - inputs.keys())}
    given_up = {tp for tp, end in removed.items() if _has_unprocessed(state, tp, end, has_record)}
    if given_up and not accept_loss:
        partition = min(given_up)
        exists = state.topic_exists(partition[0])
        raise InputTopicRemoved(partition, removed[partition], exists=exists)
    # Spark starts new partitions at offset 0 by itself.
    first_offsets = {
        tp: max(partition.begin, _processed_before(state, tp))
        for tp, partition in inputs.items()
        if tp not in log.start
    }
    added = {tp: first for tp, first in first_offsets.items() if log.is_used and first}
    start = {tp: offset for tp, offset in log.start.items() if tp in inputs} | added
    planned = {tp: offset for tp, offset in log.planned.items() if tp in inputs}
    for tp, first in added.items():
        planned[tp] = max(planned.get(tp, first), first)
    return InputChanges(start, planned, removed, frozenset(given_up))


def _processed_before(state: StartState, partition: TopicPartition) -> int:
    """Return the offset up to which a partition was processed when it was last an input."""
    if not state.is_same_topic(partition[0]):
        return 0
    return state.topic_record.left.get(partition, 0)


def _has_unprocessed(
    state: StartState,
    partition: TopicPartition,
    first: int,
    has_record: Callable[[TopicPartition, int, int], bool],
) -> bool:
    """Return whether a removed partition is known to have unprocessed messages."""
    topic = partition[0]
    if state.topic_exists(topic):
        return has_record(partition, first, MAX_OFFSET)
    # The topic is gone. The only evidence left is Spark's plan and the last run's topic record.
    return (
        state.offset_log.planned.get(partition, first) > first or topic in state.topic_record.behind
    )
