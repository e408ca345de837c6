"""How far a partition is answered, and in which run of the job: what the group's offset carries."""

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

# A topic and the number of a partition of it.
Partition: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One start of the job. A later one has a greater number; of two with one number one wins."""

    number: int
    id: str


@dataclass(frozen=True, slots=True)
class Position:
    """The next offset to answer; the run that says so, and the id of the topic that it saw.

    `run` and `topic_id` are None where something else than an exactly-once run committed.
    """

    offset: int
    run: Run | None = None
    topic_id: str | None = None


def encode(run: Run, topic_id: str) -> str:
    """Return what a commit of the group carries beside the offset."""
    return json.dumps({"tidemill": {"run": run.number, "id": run.id, "topic": topic_id}})


def decode(offset: int, metadata: str | None) -> Position:
    """Read a commit of the group, whoever made it."""
    try:
        said = json.loads(metadata or "")["tidemill"]
        return Position(offset, Run(int(said["run"]), str(said["id"])), str(said["topic"]))
    except (ValueError, KeyError, TypeError):
        return Position(offset)


def resume(
    at: Partition, position: Position | None, run: Run, topic_id: str, claimed: str | None
) -> int:
    """Return the next offset to answer for a run that has just become a partition's owner.

    `position` is what the group says, None where it says nothing. `topic_id` is the topic's, and
    `claimed` what it was when the run began, None for a partition that was not there yet.

    Raises:
        Superseded: A later run owns the partition.
        TopicRecreated: The offset is of another topic of the same name.
        GroupOffsetsChanged: Something else than this job set the offset.
        GroupOffsetLost: It is gone.
        TopicDeleted: The topic is gone.

    """
    if not topic_id:
        raise TopicDeleted
    if claimed not in {None, topic_id}:
        raise TopicRecreated(at[0])
    if position is None:
        if claimed:
            raise GroupOffsetLost(at)
        return 0
    if position.run is None:
        raise GroupOffsetsChanged(at, position.offset)
    if position.run > run:
        raise Superseded
    if position.topic_id != topic_id:
        raise TopicRecreated(at[0])
    return position.offset


def verify(at: Partition, position: Position | None, left: Position | None, run: Run) -> None:
    """Check, before an owner commits, that the group still says what this owner left there.

    `left` is what the group said when the owner took the partition, or what the owner committed
    since.

    Raises:
        GroupOffsetsChanged: Something else than this job set the offset.
        GroupOffsetLost: It is gone.
        Superseded: A later run owns the partition.
        TransactionFailed: Another owner of this run has gone on.

    """
    if position == left:
        return
    if position is None:
        raise GroupOffsetLost(at)
    if position.run is None:
        raise GroupOffsetsChanged(at, position.offset)
    if position.run > run:
        raise Superseded
    raise TransactionFailed(at, f"another worker has gone on to offset {position.offset}")
