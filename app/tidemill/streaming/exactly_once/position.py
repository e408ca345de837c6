"""A committed offset and its metadata (run number and id, topic id), and the checks on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from tidemill.errors import (
    GroupOffsetLost,
    GroupOffsetsChanged,
    Superseded,
    TopicDeleted,
    TopicRecreated,
    TransactionFailed,
)

# A topic's name and a partition number.
TopicPartition: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True, order=True)
class RunEpoch:
    """Identify one start of the job.

    Later starts have greater numbers. If two starts have the same number, the greater id wins.
    """

    number: int
    id: str


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """The next offset to process, the run that committed it, and the id of the topic it read.

    `run` and `topic_id` are None if the commit did not come from an exactly-once run.
    """

    offset: int
    run: RunEpoch | None = None
    topic_id: str | None = None


def encode(run: RunEpoch, topic_id: str) -> str:
    """Return the metadata of a commit."""
    return json.dumps({"tidemill": {"run": run.number, "id": run.id, "topic": topic_id}})


def decode(offset: int, metadata: str | None) -> CommittedOffset:
    """Parse a commit of the group, whichever program made it."""
    try:
        fields = json.loads(metadata or "")["tidemill"]
        run = RunEpoch(int(fields["run"]), str(fields["id"]))
        return CommittedOffset(offset, run, str(fields["topic"]))
    except (ValueError, KeyError, TypeError):
        return CommittedOffset(offset)


def resume(
    partition: TopicPartition,
    committed: CommittedOffset | None,
    run: RunEpoch,
    topic_id: str,
    claimed: str | None,
) -> int:
    """Return the next offset to process, for a run that has just taken over a partition.

    `committed` is the group's offset, if it has one. `topic_id` is the topic's current id, and
    `claimed` its id when the run began; None if the partition did not exist yet.

    Raises:
        Superseded: A later run owns the partition.
        TopicRecreated: The offset belongs to an earlier topic of the same name.
        GroupOffsetsChanged: Another program set the offset.
        GroupOffsetLost: The offset was deleted.
        TopicDeleted: The topic was deleted.

    """
    if not topic_id:
        raise TopicDeleted
    if claimed not in {None, topic_id}:
        raise TopicRecreated(partition[0])
    if committed is None:
        if claimed:
            raise GroupOffsetLost(partition)
        return 0
    if committed.run is None:
        raise GroupOffsetsChanged(partition, committed.offset)
    if committed.run > run:
        raise Superseded
    if committed.topic_id != topic_id:
        raise TopicRecreated(partition[0])
    return committed.offset


def verify(
    partition: TopicPartition,
    committed: CommittedOffset | None,
    expected: CommittedOffset | None,
    run: RunEpoch,
) -> None:
    """Check, before the owner of a partition commits, that nobody changed the group's offset.

    `expected` is the offset that the owner read when it took over the partition, or the one that it
    committed last.

    Raises:
        GroupOffsetsChanged: Another program set the offset.
        GroupOffsetLost: The offset was deleted.
        Superseded: A later run owns the partition.
        TransactionFailed: Another worker of this run committed.

    """
    if committed == expected:
        return
    if committed is None:
        raise GroupOffsetLost(partition)
    if committed.run is None:
        raise GroupOffsetsChanged(partition, committed.offset)
    if committed.run > run:
        raise Superseded
    raise TransactionFailed(partition, f"another worker committed offset {committed.offset}")
