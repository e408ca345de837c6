"""At-least-once delivery: Spark's sink writes the outcomes, and its checkpoint the offsets."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tidemill.errors import DeliveryModeChanged, TopicRecreated
from tidemill.kafka.failures import kafka_errors
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.spark.batch_delivery import LEAVE_TO_SPARK
from tidemill.streaming import start_plan
from tidemill.streaming.checkpoint import offset_log
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.offsets_reporter import KafkaOffsetsReporter
from tidemill.streaming.progress import Progress
from tidemill.streaming.starting_offsets import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import SparkSession

    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.spark.batch_delivery import BatchDelivery
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition
    from tidemill.streaming.sink import Sink
    from tidemill.streaming.start_plan import StartPlan
    from tidemill.streaming.start_state import StartState


@dataclass(frozen=True, slots=True)
class AtLeastOnce:
    """Resume from the checkpoint; the group's offsets only inform lag tools; a `Delivery`."""

    kafka: KafkaSettings
    stream: StreamSettings

    shares_group: ClassVar[bool] = True

    def check_spark(self, spark: SparkSession) -> None:
        """Accept any configuration."""

    def inspect(self) -> StartPlan:
        """Plan a start; change nothing.

        Raises:
            ConfigurationError, DataLoss, BrokerUnreachable: As `start_plan.inspect`.

        """

        def offsets(state: StartState) -> Mapping[TopicPartition, CommittedOffset]:
            return group_offsets(state, self.stream)

        with Group(self.kafka, self.stream.group_id) as group:
            return start_plan.inspect(self.kafka, self.stream, group, offsets)

    def take_over(self) -> AtLeastOnceRun:
        """Plan the start.

        Raises:
            ConfigurationError, DataLoss, BrokerUnreachable: As `inspect`.

        """
        kafka, stream = self.kafka, self.stream
        plan = self.inspect()
        if plan.state.runs:
            # The job has left exactly-once. Commit without a run's metadata: otherwise a crash in
            # the first micro-batch would leave no trace of the change.
            with closing(GroupCommitter(kafka, stream.group_id)) as commit, kafka_errors(kafka):
                commit(plan.offsets)
        return AtLeastOnceRun(plan, kafka, stream)


def group_offsets(
    state: StartState, stream: StreamSettings
) -> Mapping[TopicPartition, CommittedOffset]:
    """Return the group's offsets if the last run was an exactly-once one, otherwise none.

    Raises:
        DeliveryModeChanged: That run used this checkpoint.
        TopicRecreated: The checkpoint's offsets are past the end of a topic.

    """
    if state.offset_log.is_used and state.runs:
        raise DeliveryModeChanged(stream.checkpoint_location, stream.delivery)
    for p in state.partitions:
        checkpointed = state.offset_log.start.get((p.topic, p.partition), 0)
        if checkpointed > p.end + p.held_back and p.topic not in state.topic_record.ids:
            raise TopicRecreated(p.topic)
    return state.committed if state.runs else {}


@dataclass(frozen=True, slots=True)
class AtLeastOnceRun:
    """A run whose outcomes Spark's sink writes; a `DeliveryRun`."""

    plan: StartPlan
    kafka: KafkaSettings
    stream: StreamSettings

    @property
    def starting_offsets(self) -> str:
        """Spark's option `startingOffsets`."""
        if self.stream.starting_offsets in WORDS and not self.plan.group_offsets:
            return self.stream.starting_offsets  # includes partitions added before Spark reads them
        return offset_log.as_json(self.plan.offsets)

    def worker_delivery(self, _: Mapping[str, TopicLimits]) -> BatchDelivery:
        """Have the workers write nothing."""
        return LEAVE_TO_SPARK

    def spark_sink(self, sink: Sink) -> Sink:
        """Have Spark write the outcomes to the sink."""
        return sink

    @contextmanager
    def track_offsets(self) -> Iterator[KafkaOffsetsReporter]:
        """Commit the offsets of each micro-batch in the background."""
        committer = GroupCommitter(self.kafka, self.stream.group_id)
        reporter = KafkaOffsetsReporter(committer, committer.close).start()
        plan = self.plan  # the last run may have ended before its commit
        reporter.record(Progress(plan.state.offset_log.batch, offsets=plan.changes.start))
        try:
            yield reporter
        finally:
            reporter.close()
