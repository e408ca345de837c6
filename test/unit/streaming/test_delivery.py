"""At least once and exactly once: which delivery is chosen, and what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest

from tidemill.errors import SpeculationEnabled
from tidemill.kafka.lag import PartitionLag
from tidemill.kafka.record_size import TopicLimits
from tidemill.settings import KafkaSettings, StreamSettings
from tidemill.spark.batch_delivery import LEAVE_TO_SPARK
from tidemill.spark.schemas import OUTCOME, OUTCOME_METADATA
from tidemill.streaming import sink
from tidemill.streaming.at_least_once import AtLeastOnce, AtLeastOnceRun
from tidemill.streaming.delivery import DELIVERIES, choose
from tidemill.streaming.exactly_once.delivery import ExactlyOnce, ExactlyOnceRun
from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch, TopicPartition
from tidemill.streaming.exactly_once.worker import TransactionalWorker
from tidemill.streaming.input_changes import InputChanges
from tidemill.streaming.start_plan import StartPlan
from tidemill.streaming.start_state import StartState

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KAFKA = KafkaSettings()
AT_LEAST = StreamSettings()
ONCE = StreamSettings(delivery="exactly-once")
AT = ("in", 0)
NO_OFFSETS: dict[TopicPartition, CommittedOffset] = {}
COMMITTED = {AT: CommittedOffset(7, RunEpoch(1, "id"), "topic-id")}


def plan(committed: dict[TopicPartition, CommittedOffset]) -> StartPlan:
    """Return the plan of a start at offset 7, without a checkpoint."""
    state = StartState([PartitionLag("in", 0, 0, 9, None)], committed, {"in": "topic-id"})
    return StartPlan(state, committed, {AT: 7}, InputChanges({}, {}, {}, frozenset()))


def at_least_once_run(
    stream: StreamSettings = AT_LEAST, committed: dict[TopicPartition, CommittedOffset] = NO_OFFSETS
) -> AtLeastOnceRun:
    """Return a run with at-least-once."""
    return AtLeastOnceRun(plan(committed), KAFKA, stream)


def exactly_once_run() -> ExactlyOnceRun:
    """Return a run with exactly-once."""
    worker = TransactionalWorker(KAFKA, "group", RunEpoch(2, "id"), {AT: "topic-id"})
    return ExactlyOnceRun(plan(COMMITTED), worker)


class Spark:
    """A session with or without speculative execution."""

    def __init__(self, speculation: str) -> None:
        """Take the value of Spark's setting."""
        self.sparkContext = self
        self.getConf = lambda: {"spark.speculation": speculation}


class TestChoice:
    """The setting names the delivery."""

    def test_each(self) -> None:
        """Every value of the setting has its delivery."""
        assert set(DELIVERIES) == set(get_args(StreamSettings.model_fields["delivery"].annotation))
        assert choose(KAFKA, AT_LEAST) == AtLeastOnce(KAFKA, AT_LEAST)
        assert choose(KAFKA, ONCE) == ExactlyOnce(KAFKA, ONCE)

    @pytest.mark.parametrize("speculation", ["true", "TRUE"])
    def test_speculation(self, speculation: str) -> None:
        """Only exactly-once refuses speculative execution."""
        spark: Any = Spark(speculation)
        choose(KAFKA, AT_LEAST).check_spark(spark)
        with pytest.raises(SpeculationEnabled):
            choose(KAFKA, ONCE).check_spark(spark)
        allowed: Any = Spark("false")
        choose(KAFKA, ONCE).check_spark(allowed)


class TestStartingOffsets:
    """Spark's option `startingOffsets` counts only without a checkpoint."""

    def test_word(self) -> None:
        """A word includes partitions that are added before Spark reads them."""
        assert at_least_once_run().starting_offsets == "earliest"

    def test_offsets(self) -> None:
        """Offsets of the setting, or those of an earlier exactly-once run, are passed on."""
        named = AT_LEAST.model_copy(update={"starting_offsets": '{"in": {"0": 7}}'})
        for run in (
            at_least_once_run(named),
            at_least_once_run(committed=COMMITTED),
            exactly_once_run(),
        ):
            assert run.starting_offsets.replace(" ", "") == '{"in":{"0":7}}'


class TestWriters:
    """Either Spark's sink or the workers write the outcomes."""

    def test_spark(self) -> None:
        """With at-least-once the workers leave the outcomes to whichever sink the job has."""

        def table(outcomes: DataFrame) -> Any:  # noqa: ANN401 - never called
            return outcomes

        run = at_least_once_run()
        assert run.spark_sink(table) is table
        assert run.worker_delivery({}) is LEAVE_TO_SPARK
        assert LEAVE_TO_SPARK.schema == OUTCOME

    def test_workers(self) -> None:
        """With exactly-once the workers write batches that the topics accept; Spark does not."""
        run = exactly_once_run()
        limits = {"out": TopicLimits(100_000), "dead": TopicLimits()}
        assert run.spark_sink(sink.topics(KAFKA, limits)) is sink.nothing
        delivery = run.worker_delivery(limits)
        assert delivery.schema == OUTCOME_METADATA
        begin: Any = delivery.begin
        assert begin.__func__ is TransactionalWorker.begin
        assert begin.__self__ == replace(run.worker, batch_bytes=98_900)

    def test_grouped_by_message(self) -> None:
        """Spark gets all outcomes of all messages, in order."""
        batch: Any = "a batch"
        rows: list[list[dict[str, Any]]] = [[{"n": 1}, {"n": 2}], [], [{"n": 3}]]
        ((part, deliver),) = LEAVE_TO_SPARK.begin(batch)
        assert part is batch
        assert deliver(rows) == [{"n": 1}, {"n": 2}, {"n": 3}]
