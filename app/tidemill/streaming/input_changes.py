"""Decide what becomes of partitions that join or leave the inputs of a checkpoint (pure).

Spark refuses to go on if a partition of its checkpoint is gone, or if a new one does not begin at
offset 0. By then it has planned the next micro-batch without the partition, and no later start can
repair that. So a start compares first, and rewrites the offsets that Spark starts from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.errors import InputTopicRemoved, TopicRecreated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.streaming.exactly_once.position import Partition
    from tidemill.streaming.exactly_once.resume import Found
    from tidemill.streaming.progress import Offsets

ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class InputChanges:
    """What the checkpoint has to say so that Spark goes on.

    Attributes:
        start: Where the next micro-batch starts.
        planned: Where it ends, if it is planned.
        removed: Partitions that are no longer read, and the offset up to which they are answered.
        given_up: Those of them that have unanswered messages.

    """

    start: Offsets
    planned: Offsets
    removed: Offsets
    given_up: frozenset[Partition]


def compare(
    found: Found,
    *,
    accept_loss: bool,
    has_record: Callable[[Partition, int, int], bool],
) -> InputChanges:
    """Compare the partitions of a checkpoint with those that the job reads now.

    `has_record` tells whether there is a record from one offset to another, the end not included.

    Raises:
        TopicRecreated: A topic is not the one whose messages the checkpoint has counted.
        InputTopicRemoved: A topic is no longer read, has unanswered messages, and `accept_loss` is
            false.

    """
    log = found.log
    inputs = {(p.topic, p.partition): p for p in found.partitions}
    known = log.start.keys() | log.planned.keys()
    for topic in sorted({at[0] for at in known & inputs.keys()}):
        if not found.is_same(topic):
            raise TopicRecreated(topic)
    removed = {at: found.answered(at) for at in sorted(known - inputs.keys())}
    given_up = {at for at, first in removed.items() if _is_unanswered(found, at, first, has_record)}
    if given_up and not accept_loss:
        at = min(given_up)
        raise InputTopicRemoved(at, removed[at], exists=found.exists(at[0]))
    # Spark itself starts new partitions at offset 0.
    firsts = {at: max(p.begin, _left(found, at)) for at, p in inputs.items() if at not in log.start}
    added = {at: first for at, first in firsts.items() if log.is_used and first}
    start = {at: offset for at, offset in log.start.items() if at in inputs} | added
    planned = {at: offset for at, offset in log.planned.items() if at in inputs}
    for at, first in added.items():
        planned[at] = max(planned.get(at, first), first)
    return InputChanges(start, planned, removed, frozenset(given_up))


def _left(found: Found, at: Partition) -> int:
    """Return up to which offset a partition was answered when it was last an input."""
    return found.record.left.get(at, 0) if found.is_same(at[0]) else 0


def _is_unanswered(
    found: Found, at: Partition, first: int, has_record: Callable[[Partition, int, int], bool]
) -> bool:
    """Return whether messages of a partition that is no longer read are known to be unanswered."""
    if found.exists(at[0]):
        return has_record(at, first, ALL)
    # The topic is gone. What is left is what Spark had planned, and what the last run has seen.
    return found.log.planned.get(at, first) > first or at[0] in found.record.behind
