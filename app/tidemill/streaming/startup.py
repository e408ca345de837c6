"""Start a run: plan where it resumes, take over the partitions, and update the checkpoint."""

from __future__ import annotations

import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from tidemill.kafka.connect import kafka_errors
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.streaming import starting_offsets
from tidemill.streaming.checkpoint import offset_log
from tidemill.streaming.exactly_once.claim import claim_all, fence
from tidemill.streaming.exactly_once.delivery import ExactlyOnce
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch
from tidemill.streaming.progress import Progress
from tidemill.streaming.start_plan import inspect, read_partitions

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.checkpoint.topic_record import TopicRecord
    from tidemill.streaming.start_plan import StartPlan

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QueryStart:
    """What the query needs to start.

    Attributes:
        offsets: Spark's option `startingOffsets`, which counts only without a checkpoint.
        topics: The record to save beside the checkpoint once the query has started; None if the
            checkpoint could not be read.
        finished: The progress that the checkpoint records.
        deliver: What writes the outcomes in the workers; None if Spark's sink does.

    """

    offsets: str
    topics: TopicRecord | None
    finished: Progress
    deliver: ExactlyOnce | None = None


def take_over(kafka: KafkaSettings, stream: StreamSettings) -> QueryStart:
    """Plan the start and prepare the checkpoint; with exactly-once, claim all partitions.

    Raises:
        ConfigurationError, DataLoss, BrokerUnreachable: As `start_plan.inspect`.
        TransactionFailed: Kafka does not answer, or refuses the request.

    """
    with Group(kafka, stream.group_id) as group:
        if stream.delivery == "at-least-once":
            plan, run = inspect(kafka, stream, group), None
            if plan.state.runs:
                # The job has left exactly-once. Commit without a run's metadata: otherwise a crash
                # in the first micro-batch would leave no trace of the change.
                with closing(GroupCommitter(kafka, stream.group_id)) as commit, kafka_errors(kafka):
                    commit(plan.offsets)
        else:
            plan, run = _claim(kafka, stream, group)
    _update_checkpoint(plan, stream.checkpoint_location)
    topics = plan.topic_record() if plan.state.checkpoint_readable else None
    finished = Progress(plan.state.offset_log.batch, offsets=plan.changes.start)
    offsets = offset_log.as_json(plan.offsets)
    if run is None:
        if stream.starting_offsets in starting_offsets.WORDS and not plan.state.runs:
            offsets = stream.starting_offsets  # includes partitions added before Spark reads them
        return QueryStart(offsets, topics, finished)
    claimed = {tp: plan.state.topic_ids.get(tp[0], "") for tp in plan.offsets}
    deliver = ExactlyOnce(kafka, stream.group_id, run, claimed)
    return QueryStart(offsets, topics, finished, deliver)


def _claim(
    kafka: KafkaSettings, stream: StreamSettings, group: Group
) -> tuple[StartPlan, RunEpoch]:
    # Fence first: a transaction that an owner left open hides the offsets until it times out.
    fence(kafka, group, [(p.topic, p.partition) for p in read_partitions(kafka, stream)])
    plan = inspect(kafka, stream, group)
    last_number = max((run.number for run in plan.state.runs), default=0)
    run = RunEpoch(last_number + 1, uuid.uuid4().hex[:8])
    expected = {
        partition: plan.state.committed.get(partition, CommittedOffset(offset))
        for partition, offset in plan.offsets.items()
    }
    claim_all(kafka, group, run, expected)
    return plan, run


def _update_checkpoint(plan: StartPlan, location: str) -> None:
    """Make the checkpoint match the partitions that the job reads now."""
    changes, log_before = plan.changes, plan.state.offset_log
    for partition, offset in changes.removed.items():
        fields = {"partition": f"{partition[0]}/{partition[1]}", "processed_up_to": offset}
        if partition in changes.given_up:
            log.warning("skipping the unprocessed messages of a removed partition", **fields)
        else:
            log.info("no longer reading a partition; all its messages are processed", **fields)
    if log_before.is_used:
        offset_log.rewrite(location, log_before, changes.start, changes.planned)
