"""Exactly-once delivery: the workers write outcomes and offsets in transactions."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from tidemill.errors import GroupHasMembers, SpeculationEnabled
from tidemill.kafka.record_size import batch_bytes
from tidemill.periodic import PeriodicTask
from tidemill.spark.batch_delivery import BatchDelivery
from tidemill.spark.schemas import OUTCOME_METADATA
from tidemill.streaming import sink, start_plan
from tidemill.streaming.checkpoint import offset_log
from tidemill.streaming.exactly_once import resume
from tidemill.streaming.exactly_once.claim import claim_all, fence
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch
from tidemill.streaming.exactly_once.producer import BATCH_BYTES
from tidemill.streaming.exactly_once.watchdog import POLL_INTERVAL_S, GroupWatchdog
from tidemill.streaming.exactly_once.worker import TransactionalWorker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import SparkSession

    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.exactly_once.position import TopicPartition
    from tidemill.streaming.sink import Sink
    from tidemill.streaming.start_plan import StartPlan
    from tidemill.streaming.start_state import StartState


@dataclass(frozen=True, slots=True)
class ExactlyOnce:
    """Resume at the group's offsets, which only this run may commit; a `Delivery`."""

    kafka: KafkaSettings
    stream: StreamSettings

    shares_group: ClassVar[bool] = False

    def check_spark(self, spark: SparkSession) -> None:
        """Refuse speculative execution.

        Raises:
            SpeculationEnabled: Spark would run a task twice at a time.

        """
        if str(spark.sparkContext.getConf().get("spark.speculation")).lower() == "true":
            raise SpeculationEnabled

    def inspect(self) -> StartPlan:
        """Plan a start; change nothing.

        Raises:
            GroupHasMembers: Another consumer is a member of the group.
            ConfigurationError, DataLoss, BrokerUnreachable: As `start_plan.inspect`.

        """
        with Group(self.kafka, self.stream.group_id) as group:
            return self._inspect(group)

    def take_over(self) -> ExactlyOnceRun:
        """Fence all earlier runs, plan the start, and claim all partitions.

        Raises:
            ConfigurationError, DataLoss, BrokerUnreachable: As `inspect`.
            TransactionFailed: Kafka does not answer, or refuses the request.

        """
        kafka, stream = self.kafka, self.stream
        with Group(kafka, stream.group_id) as group:
            # First: a transaction that an owner left open hides the offsets until it times out.
            partitions = start_plan.read_partitions(kafka, stream)
            fence(kafka, group, [(p.topic, p.partition) for p in partitions])
            plan = self._inspect(group)
            last_number = max((run.number for run in plan.state.runs), default=0)
            run = RunEpoch(last_number + 1, uuid.uuid4().hex[:8])
            expected = {
                partition: plan.group_offsets.get(partition, CommittedOffset(offset))
                for partition, offset in plan.offsets.items()
            }
            claim_all(kafka, group, run, expected)
        claimed = {tp: plan.state.topic_ids.get(tp[0], "") for tp in plan.offsets}
        return ExactlyOnceRun(plan, TransactionalWorker(kafka, stream.group_id, run, claimed))

    def _inspect(self, group: Group) -> StartPlan:
        def group_offsets(state: StartState) -> Mapping[TopicPartition, CommittedOffset]:
            committed = resume.group_offsets(state, self.stream, group.has_record)
            if members := group.members():
                raise GroupHasMembers(group.id, members)
            return committed

        # The group may be ahead of the checkpoint, also in a removed partition.
        return start_plan.inspect(self.kafka, self.stream, group, group_offsets, read_removed=True)


@dataclass(frozen=True, slots=True)
class ExactlyOnceRun:
    """A run whose workers write the outcomes; a `DeliveryRun`."""

    plan: StartPlan
    worker: TransactionalWorker

    @property
    def starting_offsets(self) -> str:
        """Spark's option `startingOffsets`."""
        return offset_log.as_json(self.plan.offsets)

    def worker_delivery(self, limits: Mapping[str, TopicLimits]) -> BatchDelivery:
        """Have the workers write the outcomes, and leave only metadata to Spark."""
        batches = batch_bytes(limits.values(), BATCH_BYTES)
        worker = replace(self.worker, batch_bytes=batches)
        return BatchDelivery(worker.begin, OUTCOME_METADATA, buffer_retry=False)

    def spark_sink(self, _: Sink) -> Sink:
        """Have Spark write nothing."""
        return sink.nothing

    @contextmanager
    def track_offsets(self) -> Iterator[GroupWatchdog]:
        """Watch the offsets that the workers commit."""
        watchdog = GroupWatchdog(self.worker.kafka, self.worker)
        with PeriodicTask(
            POLL_INTERVAL_S, watchdog.poll, description="watch the group", on_close=watchdog.close
        ):
            yield watchdog
