"""Define the errors of exactly-once delivery: consumer group, checkpoint, transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors.base import ConfigurationError, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable

NEW_CHECKPOINT = "set a new stream.checkpoint_location; the job then starts at the group's offsets."


class SpeculationEnabled(ConfigurationError):
    """Spark may run two attempts of a task at once, which would fence each other."""

    def __init__(self) -> None:
        super().__init__(
            "spark.speculation is true, which stream.delivery exactly-once does not allow",
            "Set it to false: two attempts at a task would keep fencing each other.",
        )


class GroupHasMembers(ConfigurationError):
    """Another consumer is a member of the job's consumer group."""

    def __init__(self, group: str, members: Iterable[str]) -> None:
        super().__init__(
            f"the consumer group {group} has members: {', '.join(members)}",
            "Exactly-once needs the group for itself. Stop them, or set another stream.group_id.",
        )


class Superseded(ConfigurationError):
    """A later run of the job, or another job with its group, has taken over."""

    def __init__(self) -> None:
        super().__init__(
            "another job has taken over this job's consumer group",
            "Nothing is lost: the other job continues. To run both, give each its own "
            "stream.group_id.",
        )


class GroupOffsetsChanged(ConfigurationError):
    """The group's offset was not written by an exactly-once run."""

    def __init__(self, partition: tuple[str, int], offset: int) -> None:
        super().__init__(
            f"the group's offset of {partition[0]}/{partition[1]} ({offset}) was set from outside "
            "the job",
            "Messages that it skips would never be answered. (1) For each partition, compare the "
            "group's offset with one more than the largest tidemill.source.offset among its "
            "outcomes; if it is larger, set it back with kafka-consumer-groups.sh "
            f"--reset-offsets. (2) Then {NEW_CHECKPOINT}",
        )


class GroupOffsetLost(ConfigurationError):
    """The group no longer has an offset that it had."""

    def __init__(self, partition: tuple[str, int]) -> None:
        super().__init__(
            f"the group no longer has an offset of {partition[0]}/{partition[1]}",
            "If the topic was deleted and created again, set a new stream.checkpoint_location. If "
            "the offset was deleted or has expired (offsets.retention.minutes after the job "
            "ended): (1) set it with kafka-consumer-groups.sh --reset-offsets to one more than the "
            "largest tidemill.source.offset among results and dead letters; (2) then "
            f"{NEW_CHECKPOINT}",
        )


class GroupBehindCheckpoint(ConfigurationError):
    """The checkpoint has passed messages that the group counts as unanswered."""

    def __init__(self, partition: tuple[str, int], group: int, checkpoint: int) -> None:
        super().__init__(
            f"the group is at offset {group} of {partition[0]}/{partition[1]}, but the checkpoint "
            f"continues at {checkpoint}",
            f"To answer the messages between the two, {NEW_CHECKPOINT}",
        )


class DeliveryModeChanged(ConfigurationError):
    """The checkpoint and the group come from different delivery modes."""

    def __init__(self, checkpoint: str, now: str) -> None:
        super().__init__(
            f"the checkpoint {checkpoint} and the group's offsets were not both written with "
            f"stream.delivery {now}",
            "Either stream.delivery was changed (stop the old job cleanly first), or the offsets "
            f"were set from outside the job. To continue, {NEW_CHECKPOINT}",
        )


class TransactionFailed(TidemillError):
    """A transaction was not committed, or its outcome is unknown."""

    def __init__(self, partition: tuple[str, int], cause: object, advice: str = "") -> None:
        super().__init__(
            f"the transaction for {partition[0]}/{partition[1]} failed: {cause}",
            "Nothing is lost: Spark retries the task, and readers never see the failed attempt. "
            + advice,
        )
